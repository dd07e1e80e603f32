/**
 * Owns: replacing the functions that a handler gives to `step` by stand-ins.
 * Does not own: which stand-ins there are (script), when they are called (engine).
 * Invariant 1: nothing else changes: every call reaches the engine as the handler made it, except for the function.
 */
import type { Definition } from "../core/definition/definition.ts";
import type { AttemptContext } from "../core/definition/options.ts";
import type { Step } from "../core/definition/step.ts";
import { hang } from "./hang.ts";
import type { Life } from "./process.ts";
import type { Part, Script, StandIn, StandInContext, StandIns } from "./script.ts";

type Extras = Omit<StandInContext, keyof AttemptContext | "step">;
type Call = (...args: readonly unknown[]) => unknown;
/** Translates the arguments of the handler's function to the context of a stand-in. */
type Translate = (...args: readonly never[]) => Extras;

/** The workflow with stand-ins in place, for this life of the process. */
export function substitute(definition: Definition, script: Script, life: Life): Definition {
  const handler = definition.handler as (input: unknown, step: Step) => unknown;
  return {
    ...definition,
    handler: (input: unknown, step: Step) => {
      return handler(input, new Substitution(definition.name, step.info.id, script, life).wrap(step));
    },
  };
}

class Substitution {
  readonly #workflow: string;
  readonly #run: string;
  readonly #script: Script;
  readonly #life: Life;
  readonly #standIns: StandIns;

  constructor(workflow: string, run: string, script: Script, life: Life) {
    this.#workflow = workflow;
    this.#run = run;
    this.#script = script;
    this.#life = life;
    this.#standIns = script.standIns(workflow);
  }

  wrap(step: Step): Step {
    const api = step as unknown as Readonly<Record<"run" | "map" | "fetch" | "invoke" | "start" | "patched", Call>>;
    const learning =
      (call: Call): Call =>
      (workflow, ...rest) => {
        this.#script.register(workflow);
        return call(workflow, ...rest);
      };
    const own = {
      run: (name: unknown, fn: unknown, options: unknown) =>
        api.run(
          name,
          this.#step(name, fn, () => ({})),
          this.#options(name, options),
        ),
      map: (name: unknown, items: unknown, fn: unknown, options: unknown) => {
        if (typeof fn === "function") {
          const played = this.#step(name, fn, (item: never, { index }: { index: number }) => ({ item, index }));
          return api.map(name, items, played, this.#options(name, options));
        }
        return learning((workflow) => api.map(name, items, workflow, options))(fn);
      },
      fetch: (name: unknown, target: unknown, options: unknown) => {
        this.#noteUse("steps", name);
        return api.fetch(name, target, this.#options(name, options));
      },
      invoke: learning(api.invoke),
      start: learning(api.start),
      patched: (id: unknown) => {
        this.#noteUse("patches", id);
        return this.#standIns.patches?.[String(id)] !== false && api.patched(id);
      },
    };
    return { ...step, ...own } as unknown as Step;
  }

  #noteUse(part: Part, name: unknown): void {
    this.#script.noteUse(this.#workflow, part, String(name));
  }

  #step(name: unknown, fn: unknown, translate: Translate): unknown {
    this.#noteUse("steps", name);
    // The engine refuses what is not a function.
    if (typeof fn !== "function") return fn;
    return this.#wrapFunction(name, this.#standIns.steps?.[String(name)], fn as Call, translate);
  }

  /** The options with `undo` replaced. */
  #options(name: unknown, options: unknown): unknown {
    const { undo } = (options ?? {}) as { readonly undo?: unknown };
    if (typeof undo !== "function") return options;
    this.#noteUse("undos", name);
    const { steps, undos } = this.#standIns;
    // A replaced step had no real effect, so its real `undo` must not run.
    const standIn = undos?.[String(name)] ?? (steps?.[String(name)] === undefined ? undefined : () => {});
    const translate = (result: never, { item, index }: Extras): Extras => ({
      result,
      ...(index === undefined ? {} : { item, index }),
    });
    const own: Call = (...args) => {
      this.#script.noteUndone(this.#workflow);
      return (undo as Call)(...args);
    };
    return { ...(options as object), undo: this.#wrapFunction(name, standIn, own, translate) };
  }

  #wrapFunction(name: unknown, standIn: StandIn | undefined, fn: Call, translate: Translate): Call {
    return (...args) => {
      const context = args.at(-1) as AttemptContext;
      const key = context.idempotencyKey;
      const call = () => {
        if (standIn === undefined) return fn(...args);
        const extras = { step: stepOf(this.#run, key), ...translate(...(args as never[])) };
        // By descriptors, because some members are getters.
        return standIn(Object.defineProperties(extras, Object.getOwnPropertyDescriptors(context)) as StandInContext);
      };
      return this.#life.call(`step ${String(name)}`, key, call, standIn !== hang);
    };
  }
}

/** The step in an idempotency key of this run. */
function stepOf(run: string, key: string): string {
  const rest = key.slice(run.length + 1);
  return decodeURIComponent(rest.slice(rest.indexOf(":") + 1));
}
