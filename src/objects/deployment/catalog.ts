/**
 * Owns: the workflows of this deployment, by name and version.
 * Does not own: their runs.
 */
import { isWorkflow } from "../../core/definition/definition.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError } from "../../core/error.ts";
import { checkSharedLanes } from "../../core/lane/flow.ts";
import { collectLimits } from "../../core/lane/limit.ts";
import type { CodeLimit } from "../../core/lane/limit.ts";
import { collectSchedules } from "../../core/schedule/schedule.ts";
import { checkOptions, mention, refused } from "../../core/option.ts";
import type { Rule } from "../../core/service/schedules.ts";
import { bulk } from "../builtin/bulk.ts";
import { notice } from "../builtin/notice.ts";
import { rebuild } from "../builtin/rebuild.ts";
import { rekey } from "../builtin/rekey.ts";

/** Workflows that every deployment has; users cannot start them. */
const builtIn: ReadonlyMap<string, Definition> = new Map(
  [bulk, rebuild, rekey, notice].map((each) => [each.name, each]),
);

/** The versions, by name, of the workflows of all Workers that were created in this isolate. */
const listed = new Map<string, Set<string>>();

/**
 * Refuses workflows that no Worker lists, because their runs would wait for their code for ever. Without any Worker in this
 * isolate, nothing is known and nothing refused.
 * @throws HoldfastError workflow_not_found
 */
export function checkListed({ name, version }: Definition): void {
  if (listed.size === 0 || listed.get(name)?.has(version) === true) return;
  const what = `version ${JSON.stringify(version)} of workflow ${JSON.stringify(name)}`;
  throw new HoldfastError("workflow_not_found", `${what} is not among the workflows that createWorker was given`);
}

/**
 * The workflows that `createWorker` was given, in code that may not have been compiled with types.
 * @throws HoldfastError options_invalid
 */
export function definitionsOf(options: unknown): Definition[] {
  checkOptions(options, ["workflows", "webhooks"], "createWorker");
  const { workflows } = options as { readonly workflows?: unknown };
  return listOf(workflows, "workflows", "defineWorkflow", isWorkflow).map(({ definition }) => definition);
}

/** An option of `createWorker` that is a list of what `maker` made. @throws HoldfastError options_invalid */
export function listOf<Item>(
  given: unknown,
  option: string,
  maker: string,
  isItem: (value: unknown) => value is Item,
): Item[] {
  if (!Array.isArray(given)) throw refused("createWorker", option, `must be an array of what ${maker} made`);
  return Array.from(given, (each: unknown, at) => {
    if (isItem(each)) return each;
    // The commonest way there: two modules that import each other.
    const hint = each === undefined ? " (do its module and this one import each other?)" : "";
    throw refused("createWorker", `${option}[${at}]`, `is ${mention(each)}${hint}, and not what ${maker} made`);
  });
}

export class Catalog {
  readonly rules: readonly Rule[];
  /** Lanes that the code names, by their names, which are sorted. */
  readonly limits: ReadonlyMap<string, CodeLimit>;
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
    this.limits = new Map(collectLimits(definitions).map((limit) => [limit.name, limit]));
    for (const { name, version } of definitions) listed.set(name, (listed.get(name) ?? new Set()).add(version));
  }

  /** The listed workflows, without the built-in ones. */
  names(): string[] {
    return [...this.#versions.keys()];
  }

  /** In the order in which they are listed; new runs get the last one. */
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
