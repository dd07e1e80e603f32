/**
 * Owns: the methods of the Durable Objects of lanes, and of the one that has their roll.
 * Does not own: their implementation, in the keeper of the lane and in the roll.
 */
import { DurableObject } from "cloudflare:workers";
import { limitIn } from "../../core/lane/limit.ts";
import type { CodeLimit } from "../../core/lane/limit.ts";
import type { OverrideRequest, LaneInfo } from "../../core/service/lanes.ts";
import type { Followed } from "../../core/lane/slot.ts";
import type { Admission, Claim, Claimed, Entrance, Place, Ticket } from "../../core/lane/ticket.ts";
import { lanePrefix } from "../address.ts";
import { Keeper } from "./keeper.ts";
import { awaitCipher } from "../deployment/keys.ts";
import { Roll } from "./roll.ts";
import type { LaneRollRpc, LaneRpc } from "../rpc/lane.ts";

export type LaneObjectClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => KeptLane;

/** @param code its limits, which apply to its lanes: each lane is one object, which runs one deployment at a time */
export function createLaneObject(code: ReadonlyMap<string, CodeLimit>): LaneObjectClass {
  return class LaneObject extends KeptLane {
    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      super(ctx, env, code);
    }
  };
}

class KeptLane extends DurableObject implements LaneRpc, LaneRollRpc {
  readonly #name: string | null;
  readonly #code: ReadonlyMap<string, CodeLimit>;
  #keeper: Keeper | null = null;
  #roll: Roll | null = null;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, code: ReadonlyMap<string, CodeLimit>) {
    super(ctx, env);
    this.#code = code;
    awaitCipher(ctx);
    const name = ctx.id.name ?? "";
    this.#name = name.startsWith(lanePrefix) ? name.slice(lanePrefix.length) : null;
  }

  async enter(entrance: Entrance): Promise<Place> {
    return this.#lane().change((lane, now) => lane.enter(entrance, now), true);
  }

  async leave(ticket: Ticket): Promise<void> {
    this.#lane().change((lane, now) => lane.leave(ticket, now), false);
  }

  async admit({ id, limit, periodMs }: { id: string; limit: number; periodMs: number }): Promise<Admission> {
    return this.#lane().change((lane, now) => lane.admit(id, limit, periodMs, now), true);
  }

  claim(claim: Claim): Promise<Claimed> {
    return this.#lane().claim(claim);
  }

  async release(runId: string): Promise<void> {
    this.#lane().release(runId);
  }

  async read(limit: number): Promise<LaneInfo | null> {
    return this.#lane().read(limit);
  }

  async override(limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo | null> {
    return this.#lane().override(limit, request, key);
  }

  async follow(override: Followed): Promise<void> {
    this.#lane().follow(override);
  }

  async rekey(): ReturnType<LaneRpc["rekey"]> {
    return this.#lane().rekey();
  }

  async register(lane: string): Promise<Followed> {
    return this.#names().register(lane);
  }

  async unregister(lane: string): Promise<void> {
    this.#names().unregister(lane);
  }

  async names(after: string, limit: number): Promise<readonly string[]> {
    return this.#names().names(after, limit);
  }

  overrideAll(base: string, limit: number | null): Promise<void> {
    return this.#names().overrideAll(base, limit);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    if (this.#name === null) await this.#names().alarm();
    else await this.#lane().alarm(info?.scheduledTime ?? 0);
  }

  #lane(): Keeper {
    if (this.#name === null) throw new Error("the roll of lanes is no lane");
    return (this.#keeper ??= new Keeper(this.ctx, this.#name, limitIn(this.#code, this.#name) ?? null));
  }

  #names(): Roll {
    if (this.#name !== null) throw new Error("a lane is not the roll of lanes");
    return (this.#roll ??= new Roll(this.ctx));
  }
}
