/**
 * Bundles the dashboard's script and styles into src/http/pages/assets.ts, so that a Worker needs neither a build step nor
 * static assets. `--check` changes nothing, and fails if that file is stale.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const folder = join(root, "src", "http", "pages");
const target = join(folder, "assets.ts");

async function bundle(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(folder, "client", file)],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["chrome123", "firefox121", "safari17.5"],
    legalComments: "none",
    logLevel: "warning",
  });
  return outputFiles[0]?.text.trimEnd() ?? "";
}

const [script, style] = [await bundle("main.ts"), await bundle("style.css")];
const version = createHash("sha256").update(script).update("\0").update(style).digest("hex").slice(0, 12);

const text = `/** Written by scripts/pages.ts from src/http/pages/client: change that, and run it again. */

export const version = ${JSON.stringify(version)};

export const script = ${JSON.stringify(script)};

export const style = ${JSON.stringify(style)};
`;

const isFresh = existsSync(target) && readFileSync(target, "utf8") === text;
if (process.argv.includes("--check")) {
  if (!isFresh) console.error("src/http/pages/assets.ts is stale: run node scripts/pages.ts");
  process.exitCode = isFresh ? 0 : 1;
} else if (!isFresh) {
  writeFileSync(target, text);
}
