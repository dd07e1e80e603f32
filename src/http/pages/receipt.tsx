/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: what people get who open the address of a webhook in a browser, instead of JSON: whether their call counts. Its style is
 * in it, because a Worker with routes of its own may forward no assets on this host.
 */
import { toBase64 } from "../../core/bytes.ts";

type Receipt = "accepted" | "duplicate";

const receipts: Readonly<Record<Receipt, { readonly status: number; readonly title: string; readonly text: string }>> =
  {
    accepted: { status: 202, title: "Received", text: "Thank you. You can close this page." },
    duplicate: {
      status: 200,
      title: "Already received",
      text: "There was an answer before, and it counts. You can close this page.",
    },
  };

const refusals: Readonly<Record<number, string>> = {
  404: "Unknown address",
  410: "No longer open",
  500: "Not now",
  503: "Not now",
};

const style = `body { margin: 15vh auto; padding: 0 24px; max-width: 32rem; font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 }`;

/** Whether a person looks at the answer, and no program: browsers ask for HTML when they open an address or send a form. */
export function isVisit(request: Request): boolean {
  return request.headers.get("accept")?.includes("text/html") === true;
}

export async function receipt(kind: Receipt): Promise<Response> {
  const { status, title, text } = receipts[kind];
  return new Response(await draw(title, text), { status, headers: await headersOf() });
}

/** The page for a refusal, a response of problem+json. */
export async function refusalReceipt(refused: Response): Promise<Response> {
  const { status } = refused;
  const { detail, code } = await refused.json<{ readonly detail: string; readonly code: string }>();
  const text = `${detail.charAt(0).toUpperCase()}${detail.slice(1)}${/[.!?…]$/.test(detail) ? "" : "."}`;
  const page = await draw(refusals[status] ?? "Not accepted", text, `${status} ${code}`);
  const headers = await headersOf();
  const pause = refused.headers.get("retry-after");
  if (pause !== null) headers.set("retry-after", pause);
  return new Response(page, { status, headers });
}

/** The style is named by its hash, so that no other is taken. */
async function headersOf(): Promise<Headers> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style)));
  const source = `'sha256-${toBase64(hash)}'`;
  return new Headers({
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src ${source}; frame-ancestors 'none'; base-uri 'none'`,
    vary: "accept",
  });
}

async function draw(title: string, text: string, code?: string): Promise<string> {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title}</title>
        <style>{style}</style>
      </head>
      <body>
        <main>
          <h1>{title}</h1>
          <p>{text}</p>
          {code === undefined ? null : (
            <p>
              <code>{code}</code>
            </p>
          )}
        </main>
      </body>
    </html>
  );
  return `<!doctype html>${(await page).toString()}`;
}
