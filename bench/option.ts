/** Owns: what the command line may say, and what is answered where it says something else. */
import { parseArgs } from "node:util";

export type Options = {
  readonly isQuick: boolean;
  /** Where the figures go; null: a file of its own in `results`. */
  readonly json: string | null;
  /** Where the bench's Worker is deployed; null: everything runs here. */
  readonly deployed: URL | null;
};

export const usage = `npm run bench -- [--quick] [--json FILE] [--deployed URL]

  --quick          few samples, no memory figures: does it still run?
  --json FILE      where the figures and all samples go; bench/results/ by default
  --deployed URL   measures a deployment of bench/workers/deployed.toml, through HTTP alone;
                   BENCH_TOKEN in the environment is the token, of role operate or admin`;

export class UsageError extends Error {}

/** @throws UsageError */
export function readOptions(args: readonly string[]): Options {
  const { quick, json, deployed } = parse(args);
  if (json?.trim() === "") throw new UsageError("--json needs the name of a file");
  return { isQuick: quick, json: json ?? null, deployed: deployed === undefined ? null : readUrl(deployed) };
}

function parse(args: readonly string[]): { quick: boolean; json?: string; deployed?: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { quick: { type: "boolean", default: false }, json: { type: "string" }, deployed: { type: "string" } },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new UsageError(`--deployed needs an address such as https://bench.example.workers.dev, not "${text}"`);
  }
  return url;
}
