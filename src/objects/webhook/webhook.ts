/**
 * Owns: `defineWebhook`, which defines an address of the deployment that starts runs; and the list of these.
 * Does not own: handling a call (inbound), verification (verify).
 */
import { isWorkflow } from "../../core/definition/definition.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError } from "../../core/error.ts";
import { checkRunId } from "../../core/name.ts";
import { checkOptions, isPlain, mention, refused } from "../../core/option.ts";
import type { InboundWebhookInfo } from "../../core/service/hooks.ts";
import { isVerifier } from "../../core/webhook/webhook.ts";
import type { Delivery, Verify, WebhookReply } from "../../core/webhook/webhook.ts";
import { listOf } from "../deployment/catalog.ts";
import type { Catalog } from "../deployment/catalog.ts";

/** A workflow, with the type of its input. */
type Startable<Input> = {
  readonly name: string;
  readonly definition: Definition;
  start(input: Input, ...rest: never[]): Promise<unknown>;
};

/** The run that a delivery started, or that an earlier one had started; null if it was ignored. */
export type Delivered = { readonly id: string; readonly duplicate: boolean } | null;

export type InboundWebhookOptions<Input = unknown> = {
  /**
   * Verifies calls: a function of `verify`, or one that returns a boolean or throws. `"none"` lets anybody start runs, and has to
   * be given explicitly.
   */
  readonly verify: Verify | "none";
  /** Started with the result of `input`. */
  readonly workflow: Startable<Input>;
  /** Makes the input of the run from the call, or returns null to ignore it. The body unless set. */
  readonly input?: (call: Delivery) => Input | null | Promise<Input | null>;
  /**
   * Identifies a delivery: a known one starts no second run. Unless set, by what the sender signs; null makes each delivery
   * unique.
   */
  readonly id?: (call: Delivery) => string | null | Promise<string | null>;
  /** Makes the response to the sender, when the run is durable. */
  readonly respond?: (call: Delivery, run: Delivered) => WebhookReply | Promise<WebhookReply>;
  /** POST unless set. */
  readonly methods?: readonly string[];
  /** The limit of a body; 1 MiB unless set, 16 MiB at most. */
  readonly maxBytes?: number;
};

/** The validated options. */
export type InboundDefinition = Omit<InboundWebhookInfo, "verify"> & {
  readonly verify: Verify | "none";
  readonly input: (call: Delivery) => unknown;
  readonly id: ((call: Delivery) => unknown) | undefined;
  readonly respond: InboundWebhookOptions["respond"];
};

/** Given to `createWorker`. */
export type InboundWebhook = { readonly name: string; readonly definition: InboundDefinition };

const mebibyte = 1024 * 1024;
const known = ["verify", "workflow", "input", "id", "respond", "methods", "maxBytes"];
const methodsKnown = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Defines an address, `/webhooks/<name>`, whose calls start runs. `name` has the same characters as a run id.
 * @throws HoldfastError options_invalid, name_invalid, naming the option
 */
export function defineWebhook<Input>(name: string, options: InboundWebhookOptions<Input>): InboundWebhook {
  return { name, definition: toDefinition(name, options) };
}

function toDefinition<Input>(name: string, options: InboundWebhookOptions<Input>): InboundDefinition {
  checkWebhookName(name);
  const refuse = (option: string, why: string): never => {
    throw refused(`webhook ${name}`, option, why);
  };
  checkOptions(options, known, `webhook ${name}`);
  const { verify, workflow, input, id, respond, methods = ["POST"], maxBytes = mebibyte } = options;
  if (verify !== "none" && typeof verify !== "function")
    refuse("verify", `must say who may call: one of verify, a function, or "none" for anybody`);
  if (!isWorkflow(workflow))
    refuse("workflow", `must be a workflow, as defineWorkflow makes it, not ${mention(workflow)}`);
  for (const [option, fn] of Object.entries({ input, id, respond })) {
    if (fn !== undefined && typeof fn !== "function") refuse(option, "must be a function of the call");
  }
  if (!Array.isArray(methods) || methods.length === 0 || methods.some((method) => !methodsKnown.includes(method)))
    refuse("methods", `must be a list of ${methodsKnown.join(", ")}`);
  if (!Number.isInteger(maxBytes) || maxBytes < 1 || maxBytes > 16 * mebibyte)
    refuse("maxBytes", "must be a whole number of bytes, 16 MiB at most");
  return {
    ...{ name, workflow: workflow.definition.name, methods: [...new Set(methods)], verify, maxBytes, id, respond },
    // An empty body is an undefined input, because null would mean to ignore the call.
    input: input ?? (({ body }) => body ?? undefined),
  };
}

/** The name is a part of an address. */
function checkWebhookName(name: unknown): void {
  try {
    checkRunId(name);
  } catch {
    const why = "is 1 to 128 letters, digits, dots, underscores, colons and hyphens, beginning with a letter or digit";
    throw new HoldfastError("name_invalid", `the name of a webhook ${why}, not ${mention(name)}`);
  }
}

function isWebhook(value: unknown): value is InboundWebhook {
  return isPlain(value) && isPlain(value["definition"]) && "verify" in value["definition"];
}

export function infoOf({ name, workflow, methods, verify, maxBytes }: InboundDefinition): InboundWebhookInfo {
  const preset = verify === "none" ? verify : isVerifier(verify) ? verify.preset : "custom";
  return { name, workflow, methods, verify: preset, maxBytes };
}

export type InboundWebhooks = ReadonlyMap<string, InboundDefinition>;

/**
 * By name.
 * @throws HoldfastError options_invalid for what is no webhook, a duplicate name, or a workflow that is not in the deployment
 */
export function collectWebhooks(webhooks: unknown = [], catalog: Catalog): InboundWebhooks {
  const collected = new Map<string, InboundDefinition>();
  const workflows = new Set(catalog.names());
  for (const { name, definition } of listOf(webhooks, "webhooks", "defineWebhook", isWebhook)) {
    if (collected.has(name)) throw new HoldfastError("options_invalid", `webhook ${name} is listed twice`);
    if (!workflows.has(definition.workflow)) {
      const why = `starts ${definition.workflow}, which is not among the workflows`;
      throw new HoldfastError("options_invalid", `webhook ${name} ${why}`);
    }
    collected.set(name, definition);
  }
  return collected;
}
