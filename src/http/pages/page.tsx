/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the frame of every page: the head, navigation, help, and the response's headers.
 * Does not own: the content of a page.
 */
import type { PropsWithChildren } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Caller } from "../auth/auth.ts";
import { version } from "./assets.ts";
import { DialogHead } from "./dialog.tsx";
import { Icon, Mark } from "./icon.tsx";

export type Section = "runs" | "workflows" | "schedules" | "lanes" | "stats";

const sections: readonly { readonly section: Section; readonly path: string; readonly title: string }[] = [
  { section: "runs", path: "/", title: "Runs" },
  { section: "workflows", path: "/workflows", title: "Workflows" },
  { section: "schedules", path: "/schedules", title: "Schedules" },
  { section: "lanes", path: "/lanes", title: "Lanes" },
  { section: "stats", path: "/stats", title: "Stats" },
];

type PageProps = PropsWithChildren<{
  readonly request: Request;
  readonly title: string;
  /** The tab it belongs to; null for none. */
  readonly section: Section | null;
  /** Who is looking; null for somebody who is not let in yet. */
  readonly caller: Caller | null;
  /** The feed whose events mean that this page has changed. */
  readonly live?: string | undefined;
}>;

/** Only our own script and style are run, whatever a name or a payload contains. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": policy,
  // A form that is sent must be able to say that it comes from here.
  "referrer-policy": "same-origin",
  vary: "cookie",
};

/** A whole page, or with `fragment` a part of one. */
export async function answer(
  element: JSX.Element,
  { status = 200, fragment = false }: { readonly status?: number; readonly fragment?: boolean } = {},
): Promise<Response> {
  const html = (await element).toString();
  return new Response(fragment ? html : `<!doctype html>${html}`, { status, headers });
}

export function Page({ request, title, section, caller, live, children }: PageProps) {
  const theme = themeOf(request);
  return (
    <html lang="en" data-theme={theme}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme ?? "light dark"} />
        <title>{`${title} · Holdfast`}</title>
        <link rel="icon" href={`/assets/icon.${version}.svg`} type="image/svg+xml" />
        <link rel="stylesheet" href={`/assets/app.${version}.css`} />
        <script src={`/assets/app.${version}.js`} defer></script>
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <Header section={section} caller={caller} isLive={live !== undefined} />
        <main id="main" tabindex={-1} data-live={live}>
          {children}
        </main>
        <div id="toasts" class="toasts" role="status" aria-live="polite"></div>
        <Help />
      </body>
    </html>
  );
}

type HeaderProps = { readonly section: Section | null; readonly caller: Caller | null; readonly isLive: boolean };

function Header({ section, caller, isLive }: HeaderProps) {
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="Holdfast, to the runs">
        <Mark />
        <span>Holdfast</span>
      </a>
      {caller === null ? null : (
        <nav aria-label="Pages">
          {sections.map((each) => (
            <a href={each.path} aria-current={each.section === section ? "page" : undefined}>
              {each.title}
            </a>
          ))}
        </nav>
      )}
      <div class="tools">
        <span id="live" class="live" role="status" data-state="connecting" hidden={!isLive}>
          <span class="dot"></span>
          <span class="word">connecting</span>
        </span>
        <button type="button" class="quiet" id="theme" aria-label="Colours: as the system has them" title="Colours">
          <Icon sign="theme" />
        </button>
        <button type="button" class="quiet" data-dialog="help" aria-label="Keyboard and help" title="Help (?)">
          <Icon sign="help" />
        </button>
        {caller === null || caller.way === "local" ? null : <Leave caller={caller} />}
      </div>
    </header>
  );
}

/** Who is signed in, and the link to sign out: of Holdfast's own session, or of that of Cloudflare Access. */
function Leave({ caller: { role, visibility, way, name } }: { readonly caller: Caller }) {
  const sees = visibility === "shapes" ? ", sees shapes of payloads only" : "";
  const title = `Sign out (${name === null ? "" : `${name}, `}role ${role}${sees})`;
  return (
    <>
      {name === null ? null : <span class="faint">{name}</span>}
      {way === "access" ? (
        <a class="quiet" href="/cdn-cgi/access/logout" aria-label="Sign out" title={title}>
          <Icon sign="leave" />
        </a>
      ) : (
        <form method="post" action="/sign-out">
          <button type="submit" class="quiet" aria-label="Sign out" title={title}>
            <Icon sign="leave" />
          </button>
        </form>
      )}
    </>
  );
}

const keys: readonly (readonly [keys: readonly string[], does: string])[] = [
  [["?"], "this help"],
  [["/"], "to the filter"],
  [["j"], "next row"],
  [["k"], "row before"],
  [["Enter"], "open the row"],
  [["."], "actions"],
  [["+", "-", "0"], "zoom a timeline"],
  [["g", "r"], "runs"],
  [["g", "w"], "workflows"],
  [["g", "s"], "schedules"],
  [["g", "l"], "lanes"],
  [["g", "t"], "stats"],
  [["Esc"], "close"],
];

function Help() {
  return (
    <dialog id="help" aria-labelledby="help-title">
      <DialogHead id="help" title="Keyboard" />
      <dl class="keys">
        {keys.map(([each, does]) => (
          <div>
            <dt>
              {each.map((key) => (
                <kbd>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}

/** The colours that were chosen; null for those of the system. The script keeps the choice in this cookie. */
function themeOf(request: Request): "light" | "dark" | null {
  const [, theme] = /(?:^|;\s*)holdfast_theme=(light|dark)(?:;|$)/.exec(request.headers.get("cookie") ?? "") ?? [];
  return theme === "light" || theme === "dark" ? theme : null;
}
