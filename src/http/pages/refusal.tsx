/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: error pages, which people get instead of problem+json. */
import type { Caller } from "../auth/auth.ts";
import { problem } from "../problem.ts";
import { urlOf } from "../url.ts";
import { Icon } from "./icon.tsx";
import { answer, Page } from "./page.tsx";

type Problem = { readonly title: string; readonly detail: string; readonly code: string };

/**
 * The page for anything thrown; callers who are not signed in are sent to the sign-in page, and back afterwards.
 * @param caller null for somebody who was not let in
 */
export async function refusalPage(request: Request, thrown: unknown, caller: Caller | null): Promise<Response> {
  const refused = problem(thrown);
  const { status } = refused;
  if (status === 401) return toSignIn(request);
  const { title, detail, code } = await refused.json<Problem>();
  const page = (
    <Page request={request} title={title} section={null} caller={caller}>
      <div class="empty refusal">
        <Icon sign="warning" />
        <h1>{title}</h1>
        <p>{detail}</p>
        <p class="faint">
          {status} <code>{code}</code>
        </p>
        <p>
          <a class="button plain" href="/">
            To the runs
          </a>
        </p>
      </div>
    </Page>
  );
  const answered = await answer(page, { status });
  const pause = refused.headers.get("retry-after");
  if (pause !== null) answered.headers.set("retry-after", pause);
  return answered;
}

function toSignIn(request: Request): Response {
  const { pathname, search } = urlOf(request);
  const next = `${pathname}${search}`;
  const location = next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`;
  return new Response(null, { status: 303, headers: { location } });
}
