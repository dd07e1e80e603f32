/**
 * `npm run pack`: builds the package for other projects, as dist/holdfast-<version>.tgz. Source would be compiled with the
 * settings of the other project, so the package has declarations and JavaScript instead. `--to <folder>` writes the package to
 * the folder, without an archive.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import type { Plugin } from "esbuild";

type Manifest = {
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
} & Readonly<Record<"name" | "description" | "license" | "type", string>>;

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({ options: { to: { type: "string" } } });
const target = values.to ?? join(root, "dist", "package");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
/** Files that are copied, because README refers to them. */
const along = ["README.md", "LICENSE", "wrangler.toml", "docs", "examples"];
/** The doors: "index", "client", "testing". */
const doors = Object.values(manifest.exports).map((path) => path.replace(/^\.\/src\/(.*)\.ts$/, "$1"));

/** `cloudflare:workers` by a name that the package resolves. */
const anywhere: Plugin = {
  name: "anywhere",
  setup: (plugged) => {
    plugged.onResolve({ filter: /^cloudflare:workers$/ }, () => ({ path: "#workers", external: true }));
  },
};

/** The condition of the importing project selects one of these: under Node there is no `cloudflare:workers`. */
const workers = { workerd: "./js/workers.js", node: "./js/nowhere.js", default: "./js/workers.js" };

if (existsSync(target) && !existsSync(join(target, "package.json"))) stop(`${target} is no package of an earlier time`);
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const used = await bundle();
declare();
// What is hidden stays: a laptop's secrets are in .dev.vars, its runs in .wrangler.
const filter = (path: string): boolean => !basename(path).startsWith(".");
for (const path of along) cpSync(join(root, path), join(target, path), { recursive: true, filter });
describe();
checkLinks();
if (values.to === undefined) archive();

/**
 * Bundles the doors as modules with shared chunks, because there must be only one copy of each class.
 * @returns the names of the imported packages
 */
async function bundle(): Promise<ReadonlySet<string>> {
  const { metafile, outputFiles } = await build({
    entryPoints: {
      ...Object.fromEntries(doors.map((door) => [door, source(door)])),
      nowhere: source("rehearsal/workers"),
    },
    // As if it were beside `src`: in the package the maps then lead to `../src`, not into the importing project.
    outdir: join(root, "js"),
    write: false,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2024",
    platform: "neutral",
    packages: "external",
    sourcemap: true,
    metafile: true,
    logLevel: "warning",
    plugins: [anywhere],
  });
  mkdirSync(join(target, "js"));
  for (const { path, contents } of outputFiles) writeFileSync(join(target, relative(root, path)), contents);
  writeFileSync(
    join(target, "js", "workers.js"),
    `export { DurableObject, env, waitUntil } from "cloudflare:workers";\n`,
  );
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const outside = imports.filter(({ external, path }) => external === true && !/^(?:#|node:)/.test(path));
  return new Set(outside.map(({ path }) => /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path));
}

/** Writes the declarations of the doors, and of all modules that they import. */
function declare(): void {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-types-"));
  try {
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const options = [
      "--noEmit",
      "false",
      "--declaration",
      "--emitDeclarationOnly",
      "--rootDir",
      root,
      "--outDir",
      folder,
    ];
    run(process.execPath, [tsc, "-p", root, ...options], root);
    const seen = new Set<string>();
    const take = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const emitted = join(folder, "src", path);
      // A module in JavaScript has its declaration in the source.
      const text = readFileSync(existsSync(emitted) ? emitted : join(root, "src", path), "utf8");
      const declaration = text.replace(
        /((?:from |import\()")(\.[^"]*?)\.(?:tsx?|js)"/g,
        (_all, lead: string, to: string) => {
          take(join(dirname(path), `${to}.d.ts`));
          return `${lead}${to}.js"`;
        },
      );
      const file = join(target, "types", path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, declaration);
    };
    for (const door of doors) take(`${door}.d.ts`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes the package.json of the package. */
function describe(): void {
  const { name, version, description, license, type } = manifest;
  // Packages that only examples use are left out.
  const dependencies = Object.fromEntries(Object.entries(manifest.dependencies).filter(([each]) => used.has(each)));
  const missing = [...used].filter((each) => !(each in dependencies));
  if (missing.length > 0) stop(`not among the dependencies: ${missing.join(", ")}`);
  const exports = Object.keys(manifest.exports).map((name, at) => {
    return [name, { types: `./types/${doors[at]}.d.ts`, default: `./js/${doors[at]}.js` }];
  });
  const own = {
    ...{ name, version, description, license, type },
    exports: { ...Object.fromEntries(exports), "./package.json": "./package.json" },
    imports: { "#workers": workers },
    dependencies,
    // Optional, because the output of `wrangler types` declares the same types.
    peerDependencies: { "@cloudflare/workers-types": manifest.devDependencies["@cloudflare/workers-types"] },
    peerDependenciesMeta: { "@cloudflare/workers-types": { optional: true } },
  };
  writeFileSync(join(target, "package.json"), `${JSON.stringify(own, null, 2)}\n`);
}

/** Checks that the targets of README's links are in the package. */
function checkLinks(): void {
  const text = readFileSync(join(target, "README.md"), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link = ""]) => link);
  const dead = links.filter((link) => !existsSync(join(target, link)));
  if (dead.length > 0) stop(`README.md leads to what is not in the package: ${dead.join(", ")}`);
}

function source(module: string): string {
  return join(root, "src", `${module}.ts`);
}

function archive(): void {
  const to = dirname(target);
  run("npm", ["pack", target, "--pack-destination", to, "--ignore-scripts", "--loglevel=error"], to);
  console.log(`npm install ${relative(process.cwd(), join(to, `${manifest.name}-${manifest.version}.tgz`))}`);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status } = spawnSync(command, args, { cwd, stdio: ["ignore", "ignore", "inherit"], shell: false });
  if (status !== 0) stop(`${command} failed`);
}

function stop(message: string): never {
  console.error(`pack: ${message}`);
  process.exit(1);
}
