/**
 * Owns: putting stand-ins in the place of what a handler gives `step`.
 * Does not own: what they are (script), when they are called (engine).
 * Invariant 1: a handler is told nothing else by it: every call reaches the engine as the handler made it, but
 * for the function.
 */
import type { Definition } from "../core/definition.ts";
import type { AttemptContext, Step } from "../core/step.ts";
import { hang } from "./hang.ts";
import type { Life } from "./process.ts";
import type { Script, StandIn, StandInContext } from "./script.ts";

type Extras = Omit<StandInContext, keyof AttemptContext | "step">;
type Call = (...args: readonly unknown[]) => unknown;
/** How a function of a handler's, with these arguments, is a stand-in's. */
type Translate = (...args: readonly never[]) => Extras;

/** The workflow as it is played in this life. */
export function cast(definition: Definition, script: Script, life: Life): Definition {
  const handler = definition.handler as (input: unknown, step: Step) => unknown;
  const part = new Part(definition.name, script, life);
  return { ...definition, handler: (input: unknown, step: Step<never>) => handler(input, part.dress(step)) };
}

class Part {
  readonly #workflow: string;
  readonly #script: Script;
  readonly #life: Life;

  constructor(workflow: string, script: Script, life: Life) {
    this.#workflow = workflow;
    this.#script = script;
    this.#life = life;
  }

  dress(step: Step): Step {
    const { info } = step;
    const api = step as unknown as Readonly<Record<"run" | "map" | "fetch" | "invoke" | "start" | "patched", Call>>;
    const learning =
      (call: Call): Call =>
      (workflow, ...rest) => {
        this.#script.learn(workflow);
        return call(workflow, ...rest);
      };
    const own = {
      run: (name: unknown, fn: unknown, options: unknown) =>
        api.run(
          name,
          this.#step(info.id, name, fn, () => ({})),
          this.#options(info.id, name, options),
        ),
      map: (name: unknown, items: unknown, fn: unknown, options: unknown) => {
        if (typeof fn === "function") {
          const played = this.#step(info.id, name, fn, (item: never, { index }: { index: number }) => ({
            item,
            index,
          }));
          return api.map(name, items, played, this.#options(info.id, name, options));
        }
        return learning((workflow) => api.map(name, items, workflow, options))(fn);
      },
      fetch: (name: unknown, target: unknown, options: unknown) => {
        this.#script.ask(this.#workflow, "steps", String(name));
        return api.fetch(name, target, this.#options(info.id, name, options));
      },
      invoke: learning(api.invoke),
      start: learning(api.start),
      patched: (id: unknown) => {
        const name = String(id);
        this.#script.ask(this.#workflow, "patches", name);
        return this.#script.standIns(this.#workflow).patches?.[name] !== false && api.patched(id);
      },
    };
    return { ...step, ...own } as unknown as Step;
  }

  #step(run: string, name: unknown, fn: unknown, translate: Translate): unknown {
    this.#script.ask(this.#workflow, "steps", String(name));
    // What is wrong with it is the engine's to say.
    if (typeof fn !== "function") return fn;
    return this.#play(run, name, this.#script.standIns(this.#workflow).steps?.[String(name)], fn as Call, translate);
  }

  /** With `undo` replaced. */
  #options(run: string, name: unknown, options: unknown): unknown {
    const { undo } = (options ?? {}) as { readonly undo?: unknown };
    if (typeof undo !== "function") return options;
    this.#script.ask(this.#workflow, "undos", String(name));
    const { steps, undos } = this.#script.standIns(this.#workflow);
    // The step never happened, so that there is nothing to be undone in earnest.
    const standIn = undos?.[String(name)] ?? (steps?.[String(name)] === undefined ? undefined : () => {});
    const translate = (result: never, { item, index }: Extras): Extras => ({
      result,
      ...(index === undefined ? {} : { item, index }),
    });
    const own: Call = (...args) => {
      this.#script.noteUndone(this.#workflow);
      return (undo as Call)(...args);
    };
    return { ...(options as object), undo: this.#play(run, name, standIn, own, translate) };
  }

  #play(run: string, name: unknown, standIn: StandIn | undefined, fn: Call, translate: Translate): Call {
    return (...args) => {
      const context = args.at(-1) as AttemptContext;
      const key = context.idempotencyKey;
      const call = () => {
        if (standIn === undefined) return fn(...args);
        const extras = { step: stepOf(run, key), ...translate(...(args as never[])) };
        // Members that are made when they are asked for stay so.
        return standIn(Object.defineProperties(extras, Object.getOwnPropertyDescriptors(context)) as StandInContext);
      };
      return this.#life.call(`step ${String(name)}`, key, call, standIn !== hang);
    };
  }
}

/** The step that an idempotency key of this run speaks of. */
function stepOf(run: string, key: string): string {
  const rest = key.slice(run.length + 1);
  return decodeURIComponent(rest.slice(rest.indexOf(":") + 1));
}
