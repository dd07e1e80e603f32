/**
 * Owns: keeping one run going in one Durable Object: its memory, its single alarm, its reports.
 * Does not own: any decision about the run (engine/run), the journal's format (store/journal), what
 * the directory keeps (reporter).
 * Long because everything that goes on around a run meets here; what each of it does is elsewhere.
 * Invariant 1: whatever is committed while the run is busy is committed with an alarm that is due within a second,
 * or while one is being handled, so that the run of a process that died resumes by itself (guarantee 4). A burst
 * that dies before its first commit was never heard of; who called is told, and tells (witness).
 * Invariant 2: a parked run leaves no timer, no open request and no socket behind but such as sleep with it.
 */
import type { Vault } from "../core/cipher.ts";
import type { Entry, EntryOf } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { RunSnapshot } from "../core/run.ts";
import type { RunAction, SignalRequest } from "../core/service.ts";
import { Bell } from "../engine/bell.ts";
import { Run } from "../engine/run.ts";
import type { Find, Next } from "../engine/drive.ts";
import { SqlJournal } from "../store/journal.ts";
import { Alarm, aheadOf, deadlineOf, errandAt, isErrand, watchdogMs } from "./alarm.ts";
import { answer } from "./answer.ts";
import { commitsOf } from "./arrival.ts";
import type { Arrived } from "./arrival.ts";
import { Audience } from "./audience.ts";
import type { StartRun } from "./children.ts";
import { Debts } from "./debts.ts";
import { isDamage, isUnreadable, lastSoundAt, lookAgainAt, remainsOf, unlist } from "./damage.ts";
import { Expiry } from "./expiry.ts";
import { markExported } from "./exporter.ts";
import { newestKey, vaultOf } from "./keys.ts";
import { Log, logRemoval } from "./logline.ts";
import { Meter } from "./meter.ts";
import { describe } from "./patience.ts";
import { takeOut } from "./removal.ts";
import type { Parcel, Resealing, RunSaid } from "./rpc.ts";
import { Scribe } from "./scribe.ts";
import { Slots } from "./slots.ts";
import { earlier, timer } from "./timer.ts";
import { createWorld } from "./world.ts";

/** An alarm may run for 15 minutes: one that guards a long attempt hands over to the next before. */
const longestAlarmMs = 10 * 60_000;
/** Rows that are sealed anew in one call. */
const rekeyRows = 500;

type Memory = {
  readonly run: Run;
  readonly journal: SqlJournal;
  readonly debts: Debts;
  /** The first look of it is still to come. */
  isCold: boolean;
};

export class Host {
  readonly audience: Audience;
  readonly #ctx: DurableObjectState;
  readonly #vault: Vault;
  readonly #find: Find;
  readonly #startRun: StartRun;
  readonly #nudge = new Bell();
  /** Rings when the run may have ended. */
  readonly #ended = new Bell();
  readonly #slots = new Slots(
    () => this.proceed(),
    () => this.meter.called(),
  );
  /** Of the run that is in this object. */
  meter: Meter;
  #open: Memory | null = null;
  #loop: Promise<void> | null = null;
  readonly #alarm: Alarm;
  /** The run is being removed: what would be accepted now would go with it. */
  removing = false;
  readonly #expiry = new Expiry();
  readonly #log = new Log();

  constructor(ctx: DurableObjectState, find: Find, startRun: StartRun) {
    this.#ctx = ctx;
    this.#vault = vaultOf(ctx);
    this.audience = new Audience(ctx);
    this.meter = new Meter(() => ctx.storage.sql.databaseSize);
    this.#alarm = new Alarm(ctx.storage, () => this.meter.wrote(1));
    this.#find = find;
    this.#startRun = startRun;
  }

  get run(): Run {
    return this.#memory().run;
  }

  get journal(): SqlJournal {
    return this.#memory().journal;
  }

  /**
   * Begins a run without a look for one that may be here: its journal is made with its first row, or the storage
   * refuses. False where it did: nothing has happened, and whoever looks then is told why.
   */
  begin(create: (run: Run) => void): boolean {
    if (this.#open !== null) return false;
    this.#open = this.#remember(this.#openJournal(false));
    try {
      create(this.#open.run);
    } catch {
      this.forget();
      return false;
    }
    this.meter.begin();
    return true;
  }

  /** Looks at the run now, and keeps it going for as long as it is busy. */
  proceed(alarm?: AlarmInvocationInfo): void {
    if (this.#loop !== null) return this.#nudge.ring();
    const judged = this.#isCold && alarm !== undefined && !isErrand(alarm);
    this.#keepGoing(judged && this.run.wasCutOff(dueBy(alarm)));
  }

  #keepGoing(died: boolean): void {
    // Set before anything can kill the process again: the platform gives up an alarm after seven deaths.
    if (died) this.#alarm.watch();
    this.#loop = this.#drive(died)
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#loop = null;
      });
    this.#ctx.waitUntil(this.meter.hold(this.#loop));
  }

  /**
   * Somebody's call died with this object. If that memory was another, the run goes on with care: what killed it
   * is on record the next time, before it can do so again.
   */
  noteDeath(): void {
    if (this.#isCold && this.#loop === null && this.run.wasCutOff(-Infinity)) this.#keepGoing(true);
  }

  /** Goes on with the run while a call of it is judged, and once it was: by then it may be at rest, without a watch. */
  during<Value>(judged: Promise<Value>): Promise<Value> {
    this.proceed();
    return judged.finally(() => this.proceed());
  }

  /** Keeps the run going if this memory is new and nothing else would. */
  wake(): void {
    if (this.#isCold && this.run.isDue()) this.proceed();
  }

  /** @throws HoldfastError signal_invalid, not_waiting, run_ended, idempotency_conflict */
  async signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<{ duplicate: boolean }> {
    const fitted = this.run.fitSignal(signal);
    // Awaited only where it must be, so that signals keep the order in which they came.
    const ready = fitted instanceof Promise ? await fitted : fitted;
    const received = this.run.signal(ready, onlyIfWaiting);
    this.proceed();
    return received;
  }

  /** A broadcast that waited for this run; answers whether it would take another. */
  async #take(signal: SignalRequest): Promise<{ duplicate: boolean; more: boolean }> {
    const { duplicate } = await this.signal(signal, true);
    return { duplicate, more: this.run.openWaits(signal.name) > 0 };
  }

  /** Never throws: the platform gives up an alarm that does so seven times. */
  async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.fired();
    try {
      await this.#watch(info);
    } catch (error) {
      console.error("a run could not be opened; it is tried again", describe(error));
      // Until that is set this alarm is not over, and comes again should the process die.
      await this.#alarm.rearm(this.#lookAgainAt(error, info !== undefined && isErrand(info)));
    }
  }

  #lookAgainAt(error: unknown, errand: boolean): number {
    return lookAgainAt(error, () => lastSoundAt(this.#openJournal().read()), Date.now(), errand);
  }

  /** The journal, whether or not it can be read. @param expected there may be one */
  #openJournal(expected = true): SqlJournal {
    return new SqlJournal(this.#ctx.storage, (rows, size) => this.meter.wrote(rows, size), this.#vault, expected);
  }

  /** Why no run can be made of the journal, where its bytes are at fault; null where one can. @throws key_missing, config_invalid */
  damage(): HoldfastError | null {
    try {
      void this.run;
      return null;
    } catch (error) {
      if (isDamage(error)) return error;
      throw error;
    }
  }

  /** Of a damaged journal, what comes before the damage. @throws HoldfastError as the journal */
  salvage(after: number, limit: number): Entry[] {
    return this.#openJournal().page(after, limit);
  }

  /** Removes a run that cannot be read, for whoever asked; its id is free again. */
  async discard(damage: HoldfastError): Promise<Parcel> {
    const id = this.#ctx.id.name ?? "";
    if (this.removing) throw new HoldfastError("run_not_found", "the run is being removed");
    return remainsOf(id, await this.#clear(() => unlist(id)), damage.message);
  }

  /** Seals rows of the journal anew, from that one on; no memory is needed for it. @throws HoldfastError as the journal, config_invalid */
  rekey(from: number): Resealing<number> {
    newestKey();
    return this.#openJournal().reseal(from, rekeyRows);
  }

  /** Keeps the run going under the alarm's protection. */
  async #watch(info: AlarmInvocationInfo | undefined): Promise<void> {
    // No run: all there can be is the mark of a key that has served its time.
    if (this.run.state.created === null) return await this.#ctx.storage.deleteAll();
    // Whatever work there is besides gets a watch of its own.
    if (info !== undefined && isErrand(info)) return this.proceed(info);
    this.#alarm.handled = true;
    this.proceed(info);
    const guard = timer(Date.now() + longestAlarmMs);
    await Promise.race([this.#loop, guard.over]);
    guard.cancel();
    this.#alarm.handled = false;
    // Still at work: the next alarm takes over the watch.
    if (this.#loop !== null) this.#alarm.watch();
  }

  /** The run once it has ended, or as it is when the time is up. */
  async settled(waitMs: number): Promise<RunSnapshot> {
    // Mostly there is nothing left to wait for then.
    if (this.run.isBurst) await this.run.yielded();
    if (this.run.state.end !== null) return this.run.snapshot();
    const limit = timer(Date.now() + waitMs);
    let timedOut = false;
    void limit.over.then(() => {
      timedOut = true;
    });
    while (!timedOut && this.run.state.end === null) await Promise.race([this.#ended.heard(), limit.over]);
    limit.cancel();
    return this.run.snapshot();
  }

  /** The run with its places in the lanes that hold it, asked now; as they were known should that take long. */
  async located(): Promise<RunSnapshot> {
    const { run } = this;
    const { queued, end, paused } = run.state;
    if (queued.size === 0 || end !== null || paused !== null) return run.snapshot();
    run.porter.askAgain();
    this.proceed();
    this.#slots.attend(run);
    const limit = timer(Date.now() + watchdogMs);
    await Promise.race([this.#slots.idle(), limit.over]);
    limit.cancel();
    if (this.#open?.run === run) this.#slots.deliver(run);
    this.proceed();
    return run.snapshot(run.porter.gate.places);
  }

  /** Lets in one who follows the run. */
  follow(request: Request): Response {
    const { created } = this.run.state;
    if (created === null) return new Response(null, { status: 404 });
    this.wake();
    return this.audience.admit(request, {
      ...this.#standing(),
      createdAt: created.continuation?.createdAt ?? created.at,
    });
  }

  /** Where the run is, as its followers hear it. */
  #standing(): Extract<RunSaid, object> {
    const { seq, end } = this.run.state;
    return { seq, status: end === null ? null : this.run.glance().status };
  }

  /** Has the run listed anew, now. @throws when the directory was not reached */
  async relist(): Promise<void> {
    const listed = this.#memory().debts.renew();
    this.proceed();
    await listed;
  }

  /** Writes a run that has come from elsewhere, all of it or nothing, and goes on with it. @throws what the storage throws */
  install(arrived: Arrived): void {
    const { end } = arrived.state;
    const journal = this.#openJournal();
    this.#ctx.storage.transactionSync(() => {
      for (const commit of commitsOf(arrived)) journal.append(commit);
      if (end !== null) markExported(this.#ctx.storage.kv, end);
    });
    this.forget();
    // It goes on from what the run took before.
    this.meter = new Meter(() => this.#ctx.storage.sql.databaseSize);
    const { created, imported } = this.run.state;
    if (imported !== null) this.#log.note([imported], created);
    this.proceed();
  }

  /** Gives up the memory of a run that could not be written. */
  forget(): void {
    this.#open = null;
  }

  /** Removes everything that is kept of the run; its id is free again. */
  async remove(by: Pick<RunAction, "by" | "role" | "reason">): Promise<void> {
    this.removing = true;
    this.#open?.debts.stop();
    // A report under way must not list the run again after its removal.
    await this.#loop;
    // Should the process die half-way, the run is listed again.
    this.#alarm.guard();
    try {
      await this.#erase(by);
    } catch (error) {
      // Nor does this memory know what the shard made of it.
      this.forget();
      this.proceed();
      throw error;
    }
  }

  async #erase(by: Parameters<typeof logRemoval>[2]): Promise<void> {
    const { created } = this.run.state;
    await this.#clear(async () => {
      if (created !== null) await takeOut(created);
    });
    this.#log.flush();
    if (created !== null) logRemoval(created, Date.now(), by);
  }

  /** Nothing is left of the run, neither stored nor in memory, once others have let go of it. */
  async #clear<Told>(takenOut: () => Promise<Told>): Promise<Told> {
    this.removing = true;
    try {
      const told = await takenOut();
      await this.#ctx.storage.deleteAll();
      this.audience.tell("gone");
      this.meter = new Meter(() => this.#ctx.storage.sql.databaseSize);
      this.forget();
      this.#alarm.gone();
      return told;
    } finally {
      this.removing = false;
    }
  }

  async #drive(died: boolean): Promise<void> {
    this.#memory().isCold = false;
    for (let first = true; ; first = false) {
      this.#slots.deliver(this.run);
      const next = this.run.advance(first && died);
      if (this.run.isBurst) {
        await this.run.yielded();
        continue;
      }
      this.#slots.attend(this.run);
      const { created } = this.run.state;
      if (created === null) return;
      // Before it is removed: a run that is not kept at all has an end to tell as well.
      if (this.run.state.end !== null) this.#ended.ring();
      const { debts } = this.#memory();
      const owedAt = debts.attend(next.expired);
      if (this.run.state.end !== null && !this.audience.isEmpty) this.audience.tell(this.#standing());
      // What has expired stays until it owes nothing.
      const removable = next.expired && owedAt === null;
      if (removable && !debts.busy) {
        const { end } = this.run.state;
        if (await this.#expire(debts)) return;
        // Tried again meanwhile: what was to be done next is no longer.
        if (this.run.state.end !== end) continue;
      }
      const reportAt = debts.report(next.busy);
      const wakeAt = next.expired ? null : next.wakeAt;
      const expiryAt = removable && !debts.busy ? this.#expiry.dueAt : null;
      const dueAt = earlier(earlier(reportAt, owedAt), earlier(expiryAt, this.#log.attend()));
      const alarmAt = wakeAt === null ? null : aheadOf(wakeAt);
      const now = Date.now();
      const soon = (dueAt !== null && dueAt - now < watchdogMs) || (alarmAt !== null && alarmAt <= now);
      if (!next.busy && !debts.busy && !soon) return this.#park(alarmAt, dueAt);
      // What merely waits for a moment needs no watch before it: there is nothing at work that could have died.
      this.#alarm.guard(next.busy ? null : alarmAt);
      await this.#rest(next, earlier(wakeAt, dueAt));
    }
  }

  /** Removes what is kept no longer; false where that has to wait. */
  async #expire(debts: Debts): Promise<boolean> {
    if (this.#expiry.dueAt > Date.now()) return false;
    // An alarm that came for an errand is over by now.
    this.#alarm.guard();
    return await this.#expiry.attempt({
      state: () => this.run.state,
      settled: () => debts.settled(),
      erase: () => this.#erase(null),
    });
  }

  /** Waits until there is something to do; only while the run is busy, or about to be reported. */
  async #rest(next: Next, wakeAt: number | null): Promise<void> {
    const limit = timer(wakeAt);
    const { run } = this;
    await Promise.race([next.busy ? run.rested() : run.stirred(), this.#nudge.heard(), limit.over]);
    limit.cancel();
  }

  #park(runAt: number | null, owedAt: number | null): void {
    const wakeAt = earlier(runAt, owedAt === null ? null : errandAt(owedAt));
    if (wakeAt === null) this.#alarm.disarm();
    else this.#alarm.arm(wakeAt);
    const { run } = this;
    // A handler that awaits something of its own may go on without anybody asking.
    void run.stirred().then(() => {
      if (this.#open?.run === run) this.proceed();
    });
  }

  /** The journal could not be written or read: the memory is given up, the alarm brings it back. */
  async #giveUp(error: unknown): Promise<void> {
    console.error(`run ${this.#open?.run.state.created?.id} lost its memory and will resume`, error);
    this.#log.flush();
    this.forget();
    // An object that is being torn down takes no alarm; the one that guards its work is still there.
    // No death is to be read out of it where the journal itself is at fault.
    const at = isUnreadable(error) ? this.#lookAgainAt(error, true) : Date.now() + watchdogMs;
    await this.#alarm.rearm(at);
  }

  get #isCold(): boolean {
    return this.#open?.isCold ?? true;
  }

  #memory(): Memory {
    if (this.#open === null) {
      this.#open = this.#remember(this.#openJournal());
      this.meter.open(this.#open.run.state.used);
    }
    return this.#open;
  }

  #remember(journal: SqlJournal): Memory {
    const world = createWorld(() => this.#self(), this.#startRun);
    const scribe = new Scribe(journal, {
      measure: (entries) => this.meter.record(entries),
      heard: (entries) => this.#recorded(entries),
    });
    const run = new Run(scribe, world, this.#find);
    run.measure = () => this.meter.usage;
    const debts = new Debts({
      run,
      journal,
      kv: this.#ctx.storage.kv,
      children: world.children,
      receive: (signal) => answer(() => this.#take(signal)),
      meter: () => this.meter,
      isCurrent: () => this.#open?.run === run,
      changed: () => this.#nudge.ring(),
    });
    return { run, journal, debts, isCold: true };
  }

  /** Every commit of the run passes here once it is written. */
  #recorded(entries: readonly Entry[]): void {
    this.audience.tellCommit(entries);
    this.#log.note(entries, this.#open?.run.state.created ?? null);
  }

  #self(): EntryOf<"run.created"> {
    const { created } = this.run.state;
    if (created === null) throw new Error("a run that was never created does nothing");
    return created;
  }
}

/**
 * Which deadlines may have brought this alarm. Its own time counts where the clock is behind it; an
 * alarm that comes again died with the process that handled it, so that none excuses it.
 */
function dueBy(alarm: AlarmInvocationInfo): number {
  return alarm.retryCount > 0 ? -Infinity : Math.max(deadlineOf(alarm), Date.now());
}
