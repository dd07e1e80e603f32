/**
 * Owns: which object answers for what, and how runs spread over directory shards.
 * Does not own: what the objects do.
 *
 * A stub is made anew for each call, because after an infrastructure error the old one stays broken.
 */
import { env } from "cloudflare:workers";
import { HoldfastError } from "../core/error.ts";
import { fnv1a } from "../core/hash.ts";
import { objectName } from "../core/key.ts";
import { addressed } from "./callee.ts";
import type { CourierRpc } from "./rpc/courier.ts";
import type { DirectoryRpc } from "./rpc/directory.ts";
import type { HolderRpc, LaneRollRpc, LaneRpc } from "./rpc/lane.ts";
import type { RegisterRpc } from "./rpc/register.ts";
import type { RunRpc } from "./rpc/run.ts";
import type { SchedulerRpc } from "./rpc/scheduler.ts";
import { limited } from "./patience.ts";
import { witnessed } from "./witness.ts";

/** Also what there were when a run did not yet note how many. */
const defaultShards = 4;
const maxShards = 1024;

/** @param id of the run, or the name of its object, which has one at a time */
export function runObject(id: string): RunRpc {
  return ofRun<RunRpc>(id);
}

/** The run as the lanes speak to it. */
export function holderObject(runId: string): HolderRpc {
  return ofRun<HolderRpc>(runId);
}

function ofRun<Rpc extends object>(id: string): Rpc {
  const name = objectName(id);
  return witnessed(addressed(named<Rpc>("RUNS", name), id), () => named<RunRpc>("RUNS", name));
}

/** Longer than any healthy call of a lane takes, also of one that asks a run first. */
const laneLimitMs = 30_000;

/** A call that it does not answer is given up, and may be made again. @param name as `laneOf` or `checkLaneName` answered it */
export function laneObject(name: string): LaneRpc {
  return limited(named<LaneRpc>("LANES", lanePrefix + name), laneLimitMs);
}

/** Keeps apart what users name and what is ours. */
export const lanePrefix = "lane:";

/** The object that knows which lanes there are. */
export function laneRoll(): LaneRollRpc {
  return named<LaneRollRpc>("LANES", "roll");
}

const courierPrefix = ".courier-";

/** One of the objects that make requests for runs, kept where the runs are: no run id begins with a dot. */
export function courierObject(index: number): CourierRpc {
  return named<CourierRpc>("RUNS", courierPrefix + index);
}

/** Whether the object of that name among the runs is a courier. */
export function isCourier(name: string | undefined): boolean {
  return name?.startsWith(courierPrefix) === true;
}

export function schedulerObject(): SchedulerRpc {
  return named<SchedulerRpc>("SCHEDULER", "scheduler");
}

/**
 * The shard that lists this run, for as long as it lives.
 * @param shards how many there were when it was created; absent of runs that did not note it
 */
export function directoryOf(runId: string, shards?: number): DirectoryRpc {
  return directoryShard(shardOf(runId, shards));
}

/** The index of that shard. */
export function shardOf(runId: string, shards = defaultShards): number {
  return fnv1a(runId) % shards;
}

/** Every shard; the first also keeps the signals that wait for a waiter. */
export function directoryShards(): DirectoryRpc[] {
  return Array.from({ length: shardCount() }, (_, index) => directoryShard(index));
}

export function directoryShard(index: number): DirectoryRpc {
  return named<DirectoryRpc>("DIRECTORY", shardName(index));
}

const shardPrefix = "shard-";

export function shardName(index: number): string {
  return shardPrefix + index;
}

/** What the register of the shard `index` is called among the runs: no run id begins with a dot. */
export function registerName(index: number | string): string {
  return `.register-${index}`;
}

/** Which runs the shard lists, kept where the runs are. @param shard its index, or the name of its object */
export function registerObject(shard: number | string): RegisterRpc {
  const index = typeof shard === "string" && shard.startsWith(shardPrefix) ? shard.slice(shardPrefix.length) : shard;
  return named<RegisterRpc>("RUNS", registerName(index));
}

/** How many shards a new run finds. @throws HoldfastError config_invalid */
export function shardCount(): number {
  const text = variable("DIRECTORY_SHARDS");
  if (text === undefined || text === "") return defaultShards;
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= maxShards) return count;
  throw new HoldfastError(
    "config_invalid",
    `DIRECTORY_SHARDS must be a whole number from 1 to ${maxShards}, not "${text}"`,
  );
}

/** A variable or secret of the Worker, as text; of a binding that is an object, one of its fields. */
export function variable(name: string, field?: string): string | undefined {
  const value = (env as unknown as Record<string, unknown>)[name];
  const part = field === undefined ? value : (value as Record<string, unknown> | undefined)?.[field];
  return part === undefined ? undefined : String(part);
}

function named<Rpc>(binding: string, name: string): Rpc {
  const namespace = (env as unknown as Record<string, unknown>)[binding] as DurableObjectNamespace | undefined;
  if (namespace === undefined) {
    throw new HoldfastError("config_invalid", `the Durable Object binding ${binding} is missing; see wrangler.toml`);
  }
  return namespace.getByName(name) as unknown as Rpc;
}
