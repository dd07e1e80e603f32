/**
 * Owns: the addresses of all objects, and how runs are distributed over the shards of the directory.
 * Does not own: what the objects do.
 *
 * Each call uses a new stub, because a stub stays broken after an infrastructure error.
 */
import { env } from "cloudflare:workers";
import { HoldfastError } from "../core/error.ts";
import { fnv1a } from "../core/hash.ts";
import { objectName } from "../core/run/key.ts";
import { addressed } from "./callee.ts";
import type { CourierRpc } from "./rpc/courier.ts";
import type { DirectoryRpc } from "./rpc/directory.ts";
import type { HolderRpc, LaneRollRpc, LaneRpc } from "./rpc/lane.ts";
import type { RegisterRpc } from "./rpc/register.ts";
import type { RunRpc } from "./rpc/run.ts";
import type { SchedulerRpc } from "./rpc/scheduler.ts";
import { limited } from "./patience.ts";
import { reportingDeaths } from "./run/witness.ts";

/** Also the number of shards for runs that did not record it. */
const defaultShards = 4;
const maxShards = 1024;

/** @param id of the run, or the name of its object */
export function runObject(id: string): RunRpc {
  return ofRun<RunRpc>(id);
}

/** The run, with the methods that lanes call. */
export function holderObject(runId: string): HolderRpc {
  return ofRun<HolderRpc>(runId);
}

function ofRun<Rpc extends object>(id: string): Rpc {
  const name = objectName(id);
  return reportingDeaths(addressed(named<Rpc>("RUNS", name), id), () => named<RunRpc>("RUNS", name));
}

/** The limit for a call of a lane, longer than any healthy one, which may have to call a run first. */
const laneLimitMs = 30_000;

/** Calls without an answer are given up, and can be repeated. @param name as returned by `laneOf` or `checkLaneName` */
export function laneObject(name: string): LaneRpc {
  return limited(named<LaneRpc>("LANES", lanePrefix + name), laneLimitMs);
}

/** Separates the names that users give from our own. */
export const lanePrefix = "lane:";

/** The object with the list of all lanes, with a limit for all calls, too: for one of them it calls lanes itself. */
export function laneRoll(): LaneRollRpc {
  return limited(named<LaneRollRpc>("LANES", "roll"), 2 * laneLimitMs);
}

const courierPrefix = ".courier-";

/** One of the objects that send requests for runs. It is in the namespace of runs, whose ids never begin with a dot. */
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
 * The shard that lists this run during all of its life.
 * @param shards how many there were when the run was created; undefined for runs that did not record it
 */
export function directoryOf(runId: string, shards?: number): DirectoryRpc {
  return directoryShard(shardOf(runId, shards));
}

/** The index of that shard. */
export function shardOf(runId: string, shards = defaultShards): number {
  return fnv1a(runId) % shards;
}

/** All shards; the first also keeps buffered broadcast signals. */
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

/** The name of the register of the shard `index` in the namespace of runs, whose ids never begin with a dot. */
export function registerName(index: number | string): string {
  return `.register-${index}`;
}

/** The register of the runs that the shard lists. @param shard its index, or the name of its object */
export function registerObject(shard: number | string): RegisterRpc {
  const index = typeof shard === "string" && shard.startsWith(shardPrefix) ? shard.slice(shardPrefix.length) : shard;
  return named<RegisterRpc>("RUNS", registerName(index));
}

/** The number of shards for new runs. @throws HoldfastError config_invalid */
export function shardCount(): number {
  const text = variable("DIRECTORY_SHARDS");
  if (text === undefined || text === "") return defaultShards;
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= maxShards) return count;
  throw new HoldfastError("config_invalid", `DIRECTORY_SHARDS must be a whole number from 1 to ${maxShards}`);
}

/** A variable or secret of the Worker as text, or a field of a binding that is an object. */
export function variable(name: string, field?: string): string | undefined {
  const value = (env as unknown as Record<string, unknown>)[name];
  const part = field === undefined ? value : (value as Record<string, unknown> | undefined)?.[field];
  return part === undefined ? undefined : String(part);
}

/** The class that each binding must have. */
const classes = {
  RUNS: "RunObject",
  DIRECTORY: "DirectoryObject",
  SCHEDULER: "SchedulerObject",
  LANES: "LaneObject",
} as const;

type Binding = keyof typeof classes;

/**
 * For each request, because a start does not need all of them itself: its run would lack them, and only the log would tell.
 * @throws HoldfastError config_invalid
 */
export function checkBindings(): void {
  for (const binding of Object.keys(classes) as Binding[]) namespaceOf(binding);
}

function named<Rpc>(binding: Binding, name: string): Rpc {
  return namespaceOf(binding).getByName(name) as unknown as Rpc;
}

function namespaceOf(binding: Binding): DurableObjectNamespace {
  const namespace = (env as unknown as Record<string, unknown>)[binding] as DurableObjectNamespace | undefined;
  if (typeof namespace?.getByName === "function") return namespace;
  const what = `a Durable Object binding with name = "${binding}" and class_name = "${classes[binding]}"`;
  const where = `wrangler.toml must have ${what}, and that class in the new_sqlite_classes of a migration`;
  throw new HoldfastError("config_invalid", where);
}
