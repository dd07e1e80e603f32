/**
 * Runs before every npm script: installs the packages of the lock file if they are not installed, so that `npm start` and
 * `npm test` are the only commands that a fresh clone needs. Only this file must run on any Node from 20 on. Everything after it
 * runs on the Node among the dependencies, because npm puts node_modules/.bin first on the path.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (!isInstalled()) {
  console.log("holdfast: installing dependencies (npm ci) …");
  const done = spawnSync("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
    // Not the Node among the dependencies, which may be replaced by the installation.
    env: { ...process.env, PATH: pathWithoutBins(process.env["PATH"] ?? "") },
  });
  if (done.status !== 0) {
    console.error("holdfast: npm ci failed; its messages are above.");
    process.exit(done.status ?? 1);
  }
}
requireNode();

/** Compares contents, not dates: a clone, a cache and a container each set dates as they like. */
function isInstalled() {
  const wanted = packages("package-lock.json");
  const present = packages("node_modules/.package-lock.json");
  return Object.entries(wanted ?? {}).every(
    ([path, entry]) => path === "" || entry.optional === true || present?.[path]?.version === entry.version,
  );
}

/**
 * @param {string} lockFile
 * @returns {Record<string, { version?: string, optional?: boolean }> | null} null where there is none
 */
function packages(lockFile) {
  try {
    return JSON.parse(readFileSync(join(root, lockFile), "utf8")).packages;
  } catch {
    return null;
  }
}

/** @param {string} path */
function pathWithoutBins(path) {
  return path
    .split(delimiter)
    .filter((folder) => !/node_modules[\\/]\.bin[\\/]?$/.test(folder))
    .join(delimiter);
}

/** The install script of the `node` package may have been switched off; say so, instead of failing later. */
function requireNode() {
  const bins = join(root, "node_modules", ".bin");
  const env = { ...process.env, PATH: `${bins}${delimiter}${process.env["PATH"] ?? ""}` };
  const answer = spawnSync("node", ["--version"], { env, encoding: "utf8", shell: process.platform === "win32" });
  const version = answer.stdout?.trim() ?? "";
  const [, major = "0", minor = "0"] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  if (Number(major) > 22 || (Number(major) === 22 && Number(minor) >= 12)) return;
  console.error(
    `holdfast: Node 22.12 or newer is needed, found ${version || "none"}. It comes with the dependencies unless npm was ` +
      "told to ignore install scripts: run `npm rebuild node`, or put a newer Node on the path.",
  );
  process.exit(1);
}
