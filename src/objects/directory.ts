/**
 * Owns: one shard of the directory, and its alarm. The first shard also holds broadcast signals.
 * Does not own: the truth about any run; everything here can be reported anew.
 *
 * 1. The alarm is at or before the next instant at which something expires or must be looked after.
 * 2. `alarm` throws only where its own storage fails: the platform gives up on one that does.
 * 3. A claim that was not settled in time is delivered to its claimer again, and passes to another
 *    run only after the claimer has refused it.
 */
import { DurableObject } from "cloudflare:workers";
import type { RunSummary } from "../core/run.ts";
import type { RunFilter, RunQuery, SignalRequest } from "../core/service.ts";
import type { Position } from "../core/cursor.ts";
import { claimMs } from "../store/buffer.ts";
import type { BroadcastOutcome, Held, Hold, SignalBuffer } from "../store/buffer.ts";
import { openDirectory } from "../store/directory.ts";
import type { Directory, RunCount } from "../store/directory.ts";
import { deliver, settle, waitersOf } from "./broadcast.ts";
import type { DirectoryRpc } from "./rpc.ts";

export class DirectoryObject extends DurableObject implements DirectoryRpc {
  readonly #runs: Directory;
  readonly #signals: SignalBuffer;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    const { runs, signals } = openDirectory(ctx.storage.sql);
    this.#runs = runs;
    this.#signals = signals;
  }

  async report(summary: RunSummary): Promise<{ readonly offers: readonly string[] }> {
    if (!this.#runs.report(summary)) return { offers: [] };
    const names = summary.waitingFor.filter((wait) => wait.kind === "signal").map((wait) => wait.name);
    return { offers: this.#signals.offered(names, Date.now()) };
  }

  async remove(id: string, createdAt: number): Promise<void> {
    this.#runs.remove(id, createdAt);
  }

  async list(query: Omit<RunQuery, "cursor">, before: Position | null): Promise<readonly RunSummary[]> {
    return this.#runs.list(query, before);
  }

  async count(filter: RunFilter, except: string): Promise<number> {
    return this.#runs.count(filter, except);
  }

  async counts(): Promise<readonly RunCount[]> {
    return this.#runs.counts();
  }

  async waiters(name: string): Promise<readonly string[]> {
    return this.#runs.waiters(name);
  }

  async offer(id: string, name: string, expiresAt: number): Promise<void> {
    this.#signals.offer(id, name, expiresAt);
    await this.#arm(expiresAt);
  }

  async withdraw(id: string, name: string): Promise<void> {
    this.#signals.withdraw(id, name);
  }

  async hold(id: string, signal: SignalRequest, expiresAt: number): Promise<Hold> {
    const digest = signal.key === undefined ? null : await digestOf(signal.payload);
    const hold = this.#signals.hold(id, signal, digest, expiresAt, Date.now());
    await this.#arm(expiresAt);
    return hold;
  }

  async claim(name: string, runId: string, except: readonly string[]): Promise<Held | null> {
    const now = Date.now();
    const held = this.#signals.claim(name, runId, except, now);
    if (held !== null) await this.#arm(now + claimMs);
    return held;
  }

  async release(id: string, runId: string): Promise<void> {
    const now = Date.now();
    this.#signals.release(id, runId, now);
    await this.#arm(now);
  }

  async settle(id: string, delivered: number): Promise<void> {
    this.#signals.settle(id, delivered);
  }

  async outcome(id: string): Promise<BroadcastOutcome> {
    return this.#signals.outcome(id);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    this.#signals.purge(now);
    const unattended = this.#signals.unattended(now);
    // First of all the next look, so that whatever becomes of this one, there is another.
    for (const { id } of unattended) this.#signals.checkAt(id, now + claimMs);
    await this.#armNext();
    for (const { id, claimedBy } of unattended) {
      try {
        await this.#passOn(id, claimedBy);
      } catch {
        // A run or a shard that could not be asked: the signal stays where it is until the next look.
      }
    }
    await this.#armNext();
  }

  /** Delivers a held signal to the run that claimed it, else to the first that takes it. */
  async #passOn(id: string, claimedBy: string | null): Promise<void> {
    const held = this.#signals.find(id);
    if (held === null) return;
    const waiters = (await waitersOf(held.signal.name)).filter((runId) => runId !== claimedBy);
    for (const runId of claimedBy === null ? waiters : [claimedBy, ...waiters]) {
      if (!this.#signals.take(id, runId, Date.now())) return;
      if (await deliver(runId, id, held.signal)) return settle(id, held.signal.name, 1);
      this.#signals.release(id, runId, null);
    }
    this.#signals.rest(id);
  }

  async #armNext(): Promise<void> {
    const dueAt = this.#signals.dueAt();
    if (dueAt !== null) await this.#arm(dueAt);
  }

  /** Never at or before now: from within `alarm` that would strand it. */
  async #arm(dueAt: number): Promise<void> {
    const at = Math.max(dueAt, Date.now() + 1);
    const armedAt = await this.ctx.storage.getAlarm();
    if (armedAt === null || armedAt > at) await this.ctx.storage.setAlarm(at);
  }
}

async function digestOf(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
