/** Owns: what `wrangler deploy` would upload of a Worker, without uploading it. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export type Bundle = { readonly file: string; readonly kib: number; readonly gzipKib: number };

const run = promisify(execFile);
const wrangler = join(import.meta.dirname, "..", "node_modules", ".bin", "wrangler");

/** Minified, as a careful user would deploy it. @param folder takes the script */
export async function bundle(config: string, folder: string): Promise<Bundle> {
  const into = join(folder, config);
  const { stdout } = await run(
    wrangler,
    [
      ...["deploy", "--dry-run", "--minify", "--outdir", into],
      ...["--config", join(import.meta.dirname, "workers", `${config}.toml`)],
    ],
    // The sizes are in its log.
    { env: { ...process.env, WRANGLER_LOG: "log" } },
  );
  const [, kib, gzipKib] = /Total Upload: ([\d.]+) KiB \/ gzip: ([\d.]+) KiB/.exec(stdout) ?? [];
  if (kib === undefined) throw new Error(`wrangler did not say how large the bundle of ${config} is: ${stdout}`);
  return { file: join(into, `${config}.js`), kib: Number(kib), gzipKib: Number(gzipKib) };
}
