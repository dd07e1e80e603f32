/** What takes in a random workflow what comes from outside: webhooks that judge their calls, functions that hear signals. */
import type { AttemptContext } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Delivery, WebhookCall, WebhookOptions } from "../../src/core/webhook/webhook.ts";
import type { Surroundings } from "./player.ts";
import { secret, shown } from "./values.ts";
import type { Payload } from "./values.ts";

export type Receiver =
  | {
      readonly t: "address";
      readonly name: string;
      readonly timeoutMs: number | null;
      /** How long it is before the call is asked for; what comes earlier counts. */
      readonly napMs: number;
      /** Whether whoever judges a call, or answers it, takes its time over that, another in every life. */
      readonly judge: "none" | "quick" | "slow";
      readonly answer: "none" | "slow";
    }
  /** From here on signals of this name are heard. */
  | { readonly t: "listener"; readonly name: string; readonly manner: Manner };

/** What a listener does about a signal. */
export type Manner = "note" | "step" | "sleep" | "wait" | "throw";

type Tools = {
  readonly around: Surroundings;
  readonly note: (text: string) => void;
  readonly effect: (path: string, context: AttemptContext) => void;
};

export async function receive(step: Step, node: Receiver, path: string, tools: Tools): Promise<unknown> {
  if (node.t === "listener") return listen(step, node, path, tools);
  const { name, timeoutMs, napMs } = node;
  const timely = timeoutMs === null ? {} : { timeout: timeoutMs };
  const hook = await step.webhook(name, { ...timely, ...optionsOf(node, tools) });
  tools.note(hook.url);
  if (napMs > 0) await step.sleep("nap", napMs);
  return await Promise.all([hook.received(), hook.received()]);
}

/** Calls with an odd number are refused, some by what is thrown. */
function optionsOf({ judge, answer }: Extract<Receiver, { t: "address" }>, { around }: Tools): WebhookOptions {
  const verify = async ({ body }: Delivery): Promise<boolean> => {
    if (judge === "slow") await around.after(around.lag());
    const { offset } = body as { offset: number };
    if (offset % 4 === 1) throw new RangeError(secret);
    return offset % 2 === 0;
  };
  const respond = async ({ body }: WebhookCall) => {
    await around.after(around.lag());
    // It is accepted all the same.
    if ((body as { offset: number }).offset % 3 === 0) throw new RangeError(secret);
    return { status: 201, body };
  };
  return { ...(judge === "none" ? {} : { verify }), ...(answer === "none" ? {} : { respond }) };
}

function listen(step: Step, { name, manner }: Extract<Receiver, { t: "listener" }>, path: string, tools: Tools): void {
  let heard = 0;
  step.onSignal(name, async (payload) => {
    const own = `${path}!${++heard}`;
    tools.note(`${own} heard ${shown(payload)}`);
    switch (manner) {
      case "note":
        return;
      case "step":
        await step.run("b", (context) => tools.effect(own, context));
        break;
      case "sleep":
        await step.sleep("nap", 700);
        break;
      case "wait":
        await step.waitFor("stop", { timeout: 5000 });
        break;
      case "throw":
        throw new RangeError(`not to be heard: ${(payload as Payload).text}`);
      default:
        manner satisfies never;
    }
    tools.note(`${own} is through`);
  });
}
