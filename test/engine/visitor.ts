/** Calls of webhooks and updates of random runs, made twice, as by a sender that got no answer; and what must come of them. */
import { expect } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { UpdateAnswer } from "../../src/core/service/service.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import type { WebhookCall } from "../../src/core/webhook/webhook.ts";
import { receiveUpdate } from "../../src/engine/ask/update.ts";
import type { Run } from "../../src/engine/run.ts";
import { receiveHook } from "../../src/engine/wait/hook.ts";

/** A process of a run; a closed journal is one of a dead process. */
type Visited = { readonly run: Run; readonly journal: { readonly closed: boolean } };

type Call = { readonly webhook: string; readonly offset: number; readonly told: string };
type Update = { readonly key: string; readonly answer: UpdateAnswer | string };

export class Visitor {
  /** Calls that were answered as the ones that count. */
  readonly #calls: Call[] = [];
  readonly #updates: Update[] = [];
  readonly #waiting = new Map<object, Visited["journal"]>();

  async call({ run, journal }: Visited, webhook: string, offset: number): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ offset }));
    const request = { method: "POST", headers: { "content-type": "application/json" }, query: {}, body };
    await this.#twice(journal, async () => {
      const { duplicate, response } = await receiveHook(run, webhook, request);
      // Nothing is answered by a dead process.
      if (!duplicate && !journal.closed) this.#calls.push({ webhook, offset, told: response?.body ?? "" });
    });
  }

  /** Every other one has a schema that takes its time. */
  async update({ run, journal }: Visited, argument: number): Promise<void> {
    const [name, key] = [argument % 2 === 0 ? "weigh" : "add", `update ${argument}`];
    const request = { name, argument: encode(argument, "an argument"), by: "test", key };
    await this.#twice(journal, async () => {
      const answer = await receiveUpdate(run, request, () => !journal.closed)
        .then(({ end }) => end)
        .catch(codeOf);
      if (!journal.closed) this.#updates.push({ key, answer });
    });
  }

  async #twice(journal: Visited["journal"], act: () => Promise<void>): Promise<void> {
    const token = {};
    this.#waiting.set(token, journal);
    for (let i = 0; i < 2; i++) await unlessRefused(act);
    this.#waiting.delete(token);
  }

  /** What was answered is on record as it was answered (guarantee 1), and nobody is left without an answer. */
  check(entries: readonly Entry[]): void {
    for (const { webhook, offset, told } of this.#calls) {
      const bodies = entries.flatMap((entry) => {
        const isOwn = entry.kind === "webhook.received" && entry.call === webhook;
        return isOwn ? [(decode(entry.request) as WebhookCall).body] : [];
      });
      expect(bodies).toContainEqual({ offset });
      if (told !== "") expect(JSON.parse(told)).toEqual({ offset });
    }
    for (const { key, answer } of this.#updates) checkAnswer(entries, key, answer);
    expect([...this.#waiting.values()].filter(({ closed }) => !closed)).toEqual([]);
  }
}

function checkAnswer(entries: readonly Entry[], key: string, answer: UpdateAnswer | string): void {
  const accepted = entries.find((entry) => entry.kind === "update.accepted" && entry.key === key);
  if (answer === "update_invalid") expect({ key, accepted }).toEqual({ key });
  if (typeof answer === "string") return;
  const { update } = answer;
  expect(accepted).toMatchObject({ update });
  const { kind: _kind, ...said } = answer;
  const end = entries.find((entry) => {
    return entry.kind === `update.${answer.kind}` && "update" in entry && entry.update === update;
  });
  expect(end).toMatchObject(said);
}

/** The code of a refusal; anything else is thrown on. */
export function codeOf(error: unknown): string {
  if (error instanceof HoldfastError) return error.code;
  throw error;
}

export async function unlessRefused(act: () => unknown): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
  }
}
