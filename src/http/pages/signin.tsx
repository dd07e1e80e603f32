/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: signing in and out: a token is exchanged for a cookie with the same rights. */
import { findToken, checkCredential, refuseStrangers, refuseUnconfigured } from "../auth/auth.ts";
import { readBytes } from "../body.ts";
import { RequestError } from "../problem.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { createSession, endSession, isOwnOrPlain } from "../auth/session.ts";
import { FormField } from "./field.tsx";
import { answer, Page } from "./page.tsx";
import { refusalPage } from "./refusal.tsx";

const maxFormBytes = 16 * 1024;

export const signInPages: readonly Route[] = [
  { method: "GET", path: "/sign-in", role: "open", page: true, handle: (call) => asPage(call, show) },
  { method: "POST", path: "/sign-in", role: "open", page: true, handle: (call) => asPage(call, signIn) },
  { method: "POST", path: "/sign-out", role: "open", page: true, handle: (call) => asPage(call, signOut) },
];

/** What goes wrong here is a page, and the way out of it is not to sign in first. */
async function asPage(call: Call, handle: (call: Call) => Promise<Response>): Promise<Response> {
  try {
    return await handle(call);
  } catch (error) {
    return await refusalPage(call.request, error, null);
  }
}

async function show(call: Call): Promise<Response> {
  const next = ownPath(readQuery(call.request, ["next"]).get("next") ?? "/");
  const { auth, access } = call.config();
  if (auth.kind === "none") {
    refuseStrangers(call.request);
    return seeOther(next);
  }
  if (auth.tokens.length > 0) return await page(call, { next, status: 200 });
  return await page(call, access === null ? { next, status: 503 } : { next, status: 200, isAccessOnly: true });
}

async function signIn(call: Call): Promise<Response> {
  const { request } = call;
  readQuery(request);
  if (!isOwnOrPlain(request)) throw new RequestError("origin_refused", "Only the sign-in page itself may sign in.");
  const form = new URLSearchParams(new TextDecoder().decode(await readBytes(request, maxFormBytes)));
  const next = ownPath(form.get("next") ?? "/");
  const config = call.config();
  const { auth } = config;
  if (auth.kind === "none") return seeOther(next);
  const text = form.get("token")?.trim() ?? "";
  try {
    refuseUnconfigured(config);
    const token = await checkCredential(request, call.lockout, () => findToken(text, auth.tokens));
    return seeOther(next, await createSession(request, token, config, Date.now()));
  } catch (error) {
    if (!(error instanceof RequestError) || error.code === "too_many_failures") throw error;
    return await page(call, { next, status: error.code === "token_unknown" ? 401 : 503 });
  }
}

async function signOut({ request }: Call): Promise<Response> {
  readQuery(request);
  if (!isOwnOrPlain(request)) throw new RequestError("origin_refused", "Only the dashboard itself may sign out.");
  return seeOther("/sign-in", endSession(request));
}

function seeOther(location: string, cookie?: string): Response {
  const headers = new Headers({ location });
  if (cookie !== undefined) headers.set("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}

/** A path of this address, or the first page: the sign-in page must not redirect to other sites. */
function ownPath(next: string): string {
  const base = "http://own.invalid";
  if (!/^\/[\x20-\x7e]*$/.test(next) || !URL.canParse(next, base)) return "/";
  const { origin, pathname, search } = new URL(next, base);
  // Two slashes, which removing dots may leave, would begin the name of another host.
  return origin !== base || pathname.startsWith("//") ? "/" : `${pathname}${search}`;
}

type Shown = {
  readonly next: string;
  readonly status: 200 | 401 | 503;
  /** There are no tokens to sign in with. */
  readonly isAccessOnly?: true;
};

async function page({ request }: Call, { next, status, isAccessOnly }: Shown): Promise<Response> {
  const box = (
    <Page request={request} title="Sign in" section={null} caller={null}>
      <div class="card sign-in">
        <h1>Sign in</h1>
        {status === 503 ? (
          <Unconfigured />
        ) : isAccessOnly === true ? (
          <AccessOnly next={next} />
        ) : (
          <Form next={next} isWrong={status === 401} />
        )}
      </div>
    </Page>
  );
  return await answer(box, { status });
}

function Form({ next, isWrong }: { readonly next: string; readonly isWrong: boolean }) {
  return (
    <form method="post" action="/sign-in">
      <p class="faint">With a token of this Holdfast. What you may do here is what its role may do.</p>
      <input type="hidden" name="next" value={next} />
      <FormField label="Token">
        <input
          id="token"
          name="token"
          type="password"
          required
          autofocus
          autocomplete="current-password"
          spellcheck={false}
          {...(isWrong ? { "aria-invalid": "true", "aria-describedby": "wrong" } : {})}
        />
      </FormField>
      {isWrong ? (
        <p class="problem" id="wrong" role="alert">
          This token is not known here. Check that all of it was copied, without its role in front.
        </p>
      ) : null}
      <button type="submit" class="button primary">
        Sign in
      </button>
    </form>
  );
}

function AccessOnly({ next }: { readonly next: string }) {
  return (
    <>
      <p>
        This Holdfast knows people by Cloudflare Access, and this request did not come through it. Open the address that
        Access protects.
      </p>
      <p>
        <a class="button primary" href={next}>
          Try again
        </a>
      </p>
    </>
  );
}

function Unconfigured() {
  return (
    <>
      <p>No token is configured, so nobody can sign in yet, and every call of the API is refused.</p>
      <p>
        Set the secret <code>API_TOKENS</code> to <code>role:token</code>; several are separated by commas. The roles
        are <code>read</code>, <code>operate</code> and <code>admin</code>.
      </p>
      <pre class="command">npx wrangler secret put API_TOKENS</pre>
    </>
  );
}
