/**
 * Owns: the workflows of this deployment, by name and version.
 * Does not own: their runs.
 */
import type { Definition } from "../core/definition.ts";
import { HoldfastError } from "../core/error.ts";
import { checkSharedLanes } from "../core/flow.ts";
import { collectLimits } from "../core/limit.ts";
import type { CodeLimit } from "../core/limit.ts";
import { collectSchedules } from "../core/schedule.ts";
import type { Rule } from "../core/schedule.ts";
import { bulk } from "./bulk.ts";
import { notice } from "./notice.ts";
import { rebuild } from "./rebuild.ts";
import { rekey } from "./rekey.ts";

/** Workflows that every deployment has; not for everybody to start. */
const builtIn: ReadonlyMap<string, Definition> = new Map(
  [bulk, rebuild, rekey, notice].map((each) => [each.name, each]),
);

/** What the Workers that were made in this isolate list: versions by name. Code, and no state of any run. */
const listed = new Map<string, Set<string>>();

/**
 * A run of a workflow that nobody lists would wait for its code for ever. Where no Worker was made nobody can tell.
 * @throws HoldfastError workflow_not_found
 */
export function checkListed({ name, version }: Definition): void {
  if (listed.size === 0 || listed.get(name)?.has(version) === true) return;
  const what = `version ${JSON.stringify(version)} of workflow ${JSON.stringify(name)}`;
  throw new HoldfastError("workflow_not_found", `${what} is not among the workflows that createWorker was given`);
}

export class Catalog {
  readonly rules: readonly Rule[];
  /** Lanes that the code names. */
  readonly limits: readonly CodeLimit[];
  readonly #versions = new Map<string, Map<string, Definition>>();

  /** @throws HoldfastError options_invalid: two workflows of one name and version, a bad schedule, or a lane of two limits */
  constructor(definitions: readonly Definition[]) {
    for (const definition of definitions) {
      const { name, version } = definition;
      if (builtIn.has(name))
        throw new HoldfastError("options_invalid", `no workflow can be called ${name}: one is built in`);
      const versions = this.#versions.get(name) ?? new Map<string, Definition>();
      if (versions.has(version)) {
        throw new HoldfastError("options_invalid", `workflow ${name} is listed twice in version ${version}`);
      }
      this.#versions.set(name, versions.set(version, definition));
    }
    checkSharedLanes(this.names().map((name) => this.current(name)));
    this.rules = collectSchedules(definitions);
    this.limits = collectLimits(definitions);
    for (const { name, version } of definitions) listed.set(name, (listed.get(name) ?? new Set()).add(version));
  }

  /** Those that the deployment lists, without what is built in. */
  names(): string[] {
    return [...this.#versions.keys()];
  }

  /** In the order in which they were listed; new runs begin with the last. */
  versions(name: string): Definition[] {
    return [...(this.#versions.get(name)?.values() ?? [])];
  }

  /** @param version null: the newest */
  find(name: string, version: string | null): Definition | undefined {
    const own = builtIn.get(name);
    if (own !== undefined) return version === null || version === own.version ? own : undefined;
    return version === null ? this.versions(name).at(-1) : this.#versions.get(name)?.get(version);
  }

  /** @throws HoldfastError workflow_not_found */
  current(name: string): Definition {
    const definition = this.versions(name).at(-1);
    if (definition !== undefined) return definition;
    throw new HoldfastError("workflow_not_found", `no workflow is called ${JSON.stringify(name)} in this deployment`);
  }
}
