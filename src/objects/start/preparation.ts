/**
 * Owns: preparing a start with the code of its workflow: validating input and signal, labels, subscribers, limits; and what
 * distinguishes the start from another one with the same key.
 * Does not own: starting the run (service), comparing two starts (core/lifecycle/start).
 */
import { authorOf } from "../../core/author.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { limitsOf } from "../../core/lane/flow.ts";
import type { Gates } from "../../core/lane/flow.ts";
import { labelsOf } from "../../core/definition/label.ts";
import type { ParentRun, Reply, ScheduleFiring } from "../../core/run/origin.ts";
import { checkSignal, fitPayload } from "../../core/definition/payload.ts";
import { defined } from "../../core/record.ts";
import { validate } from "../../core/definition/schema.ts";
import type { SignalRequest, StartRequest, Started } from "../../core/service/service.ts";
import { wordingOf } from "../../core/lifecycle/start.ts";
import { decode, encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { payloadOf } from "../../engine/wait/validation.ts";
import { digestOf } from "../deployment/digest.ts";
import { subscribersOf } from "../builtin/subscribers.ts";
import { judgedInTime } from "../patience.ts";
import type { Branch, CheckedStart } from "../rpc/start.ts";

export type Start = Omit<StartRequest, "workflow"> & {
  readonly schedule?: ScheduleFiring;
  readonly parent?: ParentRun;
  readonly reply?: Reply;
  readonly fork?: Branch;
};

/** Starts a run of the newest version of the workflow with this name. @throws HoldfastError */
export type StartRun = (workflow: string, start: Start) => Promise<Started>;

/** `fitted` replaces the fields that were sent; `gates` are the limits that the start has to pass. */
export type Prepared = {
  readonly fitted: Pick<CheckedStart, "input" | "sent" | "labels" | "notify" | "signal" | "lanes">;
  readonly gates: Gates;
};

/** @throws HoldfastError input_invalid, label_invalid, notify_invalid, signal_invalid, name_invalid, value_too_large */
export async function prepare(definition: Definition, start: Start): Promise<Prepared> {
  const sent = start.input;
  // The input of a fork was validated before.
  const input = start.fork?.input ?? (await accept(definition, sent));
  const { lanes, gates } = limitsOf(definition, input);
  const signal = await fitSignal(definition, start);
  const fitted: Prepared["fitted"] = {
    input,
    ...(input === sent ? {} : { sent }),
    ...defined({ signal }),
    labels: labelsOf(definition, input, start.labels),
    ...subscribersOf(definition, input, start.notify),
    ...(lanes.length === 0 ? {} : { lanes }),
  };
  return { fitted, gates };
}

/** The start with a key as it was sent, to compare repetitions with. The labels of a fork are those of the original run. */
export async function wishOf({ key, fork, ...start }: Start): Promise<Pick<CheckedStart, "wish">> {
  if (key === undefined) return {};
  const own: Partial<Start> = fork === undefined ? start : {};
  return { wish: { labels: own.labels ?? {}, print: await digestOf(wordingOf(own), 16) } };
}

/** Validates the input with the workflow's schema. @throws HoldfastError input_invalid, value_too_large */
async function accept({ name, input }: Definition, sent: Stored): Promise<Stored> {
  if (input === undefined) return sent;
  const what = `the input of ${name}`;
  const made = validate(input, decode(sent), "input_invalid", what);
  if (!(made instanceof Promise)) return encode(made, what);
  const fitted = made.then((value) => encode(value, what));
  return await judgedInTime(fitted, "input_invalid", what);
}

/** The signal of a start. @throws HoldfastError signal_invalid, name_invalid */
export function signalOf(start: Start): SignalRequest | undefined {
  return start.signal && checkSignal({ ...start.signal, ...defined({ key: start.key }), ...authorOf(start) });
}

/** The same, validated by the workflow's schema. @throws HoldfastError signal_invalid, name_invalid */
async function fitSignal(definition: Definition, start: Start): Promise<CheckedStart["signal"]> {
  const signal = signalOf(start);
  if (signal === undefined) return undefined;
  const fitted = fitPayload(definition, signal.name, signal.payload);
  const what = payloadOf(signal.name);
  return {
    ...signal,
    fitted: fitted instanceof Promise ? await judgedInTime(fitted, "signal_invalid", what) : fitted,
  };
}
