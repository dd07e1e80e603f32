/**
 * Trouble for the shards of the directory, and what they write: a test says which shard throws or hangs
 * when it is told something, and reads how many rows an object has written.
 */
/**
 * `throws`: every report and removal is refused; `hangs`: none is taken before the trouble is over; `mute`: all are
 * taken, and none is answered before it is over; `single`: reports of several runs at once are refused.
 */
export type Trouble = "throws" | "hangs" | "mute" | "single";

const troubles = new Map<string, Trouble>();
type Count = { sum: number; last: { readonly rowsWritten: number } | null };

const written = new Map<string, Count>();
/** Reports and removals that a shard took or refused, in order. */
const calls = new Map<string, string[]>();
/** The runs of each report of several at once. */
const bundles = new Map<string, (readonly string[])[]>();
/** Runs that a shard was told to remove, in order. */
const removals = new Map<string, string[]>();

export function trouble(shard: number, what: Trouble | null): void {
  if (what === null) troubles.delete(`shard-${shard}`);
  else troubles.set(`shard-${shard}`, what);
}

/** Ids of the runs whose report the shard was sent, in the order of arrival. */
export function reportsTo(shard: number): readonly string[] {
  return noted(`shard-${shard}`);
}

/** Ids of the runs of each report of several at once, in the order of arrival. */
export function bundlesTo(shard: number): readonly (readonly string[])[] {
  return bundles.get(`shard-${shard}`) ?? [];
}

/** Ids of the runs that the shard was told to remove, in the order of arrival. */
export function removalsOf(shard: number): readonly string[] {
  return noted(`shard-${shard}`, removals);
}

function noted(name: string, told = calls): string[] {
  const known = told.get(name) ?? [];
  told.set(name, known);
  return known;
}

/** Rows that the object of this name has written. To be called inside it: the newest are asked of its storage. */
export function rowsOf(name: string): number {
  const { sum, last } = counted(name);
  return sum + (last?.rowsWritten ?? 0);
}

/** To be called before the object opens its storage. */
export function countRows(ctx: DurableObjectState): void {
  const count = counted(ctx.id.name ?? "");
  const { sql } = ctx.storage;
  const exec = sql.exec.bind(sql);
  sql.exec = <Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: unknown[]) => {
    const cursor = exec<Row>(query, ...bindings);
    // A statement is at its end when the next one begins.
    count.sum += count.last?.rowsWritten ?? 0;
    count.last = cursor;
    return cursor;
  };
  count.last = null;
}

function counted(name: string): Count {
  const known = written.get(name) ?? { sum: 0, last: null };
  written.set(name, known);
  return known;
}

/** Looks every now and then, since what another object resolves is not for this one to wait for. */
async function over(name: string): Promise<void> {
  const trouble = troubles.get(name);
  while (troubles.get(name) === trouble) await scheduler.wait(20);
}

type Told = (this: { readonly ctx: DurableObjectState }, ...given: unknown[]) => Promise<unknown>;

/** Puts the trouble before the methods by which a shard is told something. */
export function makeTrouble(prototype: object): void {
  for (const method of ["report", "remove"]) {
    const own = Reflect.get(prototype, method) as Told;
    const value: Told = async function (...given) {
      const name = this.ctx.id.name ?? "";
      const [run] = given as [{ readonly id: string } | string];
      if (typeof run === "object") noted(name).push(run.id);
      else noted(name, removals).push(run);
      switch (troubles.get(name)) {
        case "throws":
          throw new Error("this shard was told to throw");
        case "hangs":
          await over(name);
          return await own.apply(this, given);
        case "mute": {
          const answer = await own.apply(this, given);
          await over(name);
          return answer;
        }
        default:
          return await own.apply(this, given);
      }
    };
    Object.defineProperty(prototype, method, { value, configurable: true, writable: true });
  }
  noteBundles(prototype);
}

function noteBundles(prototype: object): void {
  const own = Reflect.get(prototype, "reportAll") as Told;
  const value: Told = async function (...given) {
    const name = this.ctx.id.name ?? "";
    const [runs] = given as [readonly { readonly id: string }[]];
    bundles.set(name, [...(bundles.get(name) ?? []), runs.map(({ id }) => id)]);
    if (troubles.get(name) === "single") throw new Error("this shard was told to take one report at a time");
    return await own.apply(this, given);
  };
  Object.defineProperty(prototype, "reportAll", { value, configurable: true, writable: true });
}
