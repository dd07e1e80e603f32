/**
 * Owns: wrapping the service so that its answers show no more than the caller may see.
 * Does not own: how each thing is redacted (core/redaction).
 *
 * Calls are passed on unchanged, since roles are checked before. Only callers who see shapes are refused those that would
 * get data out in another way.
 */
import { HoldfastError } from "../core/error.ts";
import type { Made } from "../core/run/run.ts";
import type { Hooks } from "../core/service/hooks.ts";
import type { Runs, Service } from "../core/service/service.ts";
import type { Schedules } from "../core/service/schedules.ts";
import { redactions } from "../core/redaction/redaction.ts";
import type { Redaction } from "../core/redaction/redaction.ts";
import { hidden } from "../core/redaction/mask.ts";

export function redact(service: Service, visibility: keyof typeof redactions): Service {
  const redaction = redactions[visibility];
  const isBlind = visibility === "shapes";
  const runs = redactRuns(service.runs, redaction);
  const schedules = redactSchedules(service.schedules, redaction);
  const { workflows, signals, asks, lanes, directory, stats } = service;
  return {
    workflows: {
      list: async () => (await workflows.list()).map(redaction.workflow),
      find: async (name) => redaction.workflow(await workflows.find(name)),
    },
    runs: isBlind ? closed(runs) : runs,
    signals,
    schedules: isBlind ? kept(schedules) : schedules,
    hooks: redactHooks(service.hooks, isBlind),
    asks: {
      query: async (id, name) => redaction.query(await quoted(redaction, asks.query(id, name))),
      update: async (id, update) => redaction.update(await quoted(redaction, asks.update(id, update))),
    },
    lanes: {
      list: async (query) => {
        const page = await lanes.list(query);
        return { lanes: page.lanes.map(redaction.lane), cursor: page.cursor };
      },
      find: async (name, limit) => redaction.lane(await lanes.find(name, limit)),
      override: async (name, limit, request, key) => redaction.lane(await lanes.override(name, limit, request, key)),
    },
    directory: {
      count: (filter, groupBy) => directory.count(filter, groupBy),
      causes: async (filter) => (await directory.causes(filter)).map(redaction.cause),
      follow: async (filter) =>
        mapped(await directory.follow(filter), (changes) =>
          changes.map((change) =>
            change.kind === "listed" ? { kind: change.kind, run: redaction.summary(change.run, Date.now()) } : change,
          ),
        ),
      rebuild: async (request) => redaction.run(await directory.rebuild(request), Date.now()),
      rekey: async (request) => redaction.run(await directory.rekey(request), Date.now()),
    },
    stats,
  };
}

function redactRuns(runs: Runs, redaction: Redaction): Runs {
  const show = async (run: ReturnType<Runs["read"]>) => redaction.run(await quoted(redaction, run), Date.now());
  return {
    start: async (request) => {
      const started = runs.start(request);
      // The run may be somebody else's, and what refuses the update may quote its data; other refusals are of what was sent.
      const { run, update, ...rest } = await (request.update === undefined ? started : quoted(redaction, started));
      const answered = update === undefined ? {} : { update: redaction.update(update) };
      return { ...rest, run: redaction.run(run, Date.now()), ...answered };
    },
    bindBatch: (key, contents) => runs.bindBatch(key, contents),
    read: (id, waitMs) => show(runs.read(id, waitMs)),
    history: async (id, after, limit) => {
      const { entries, ...page } = await runs.history(id, after, limit);
      return { entries: entries.map(redaction.entry), ...page };
    },
    follow: async (id, after) =>
      mapped(await runs.follow(id, after), (news) =>
        news.kind === "entries" ? { kind: news.kind, entries: news.entries.map(redaction.entry) } : news,
      ),
    timeline: async (id, window) => redaction.timeline(await runs.timeline(id, window)),
    story: async (id, key) => redaction.story(await runs.story(id, key)),
    list: async (query) => {
      const page = await runs.list(query);
      return { runs: page.runs.map((run) => redaction.summary(run, Date.now())), cursor: page.cursor };
    },
    act: (id, action) => show(runs.act(id, action)),
    fork: async (id, request) => made(redaction, await quoted(redaction, runs.fork(id, request))),
    previewFork: (id, cut) => runs.previewFork(id, cut),
    export: (id) => runs.export(id),
    import: async (text, request) => made(redaction, await runs.import(text, request)),
    bulk: (request) => show(runs.bulk(request)),
    count: (filter) => runs.count(filter),
  };
}

/** For callers who see shapes: refuses what would get data out in another way. */
function closed(runs: Runs): Runs {
  return {
    ...runs,
    start: async (request) => {
      if (request.notify === undefined) return await runs.start(request);
      throw refused("have the end told to an address");
    },
    fork: async (id, request) => {
      if (request.input === undefined && request.results.size === 0) return await runs.fork(id, request);
      // With results of their choice they could steer what the run does with data that they may not see.
      throw refused("give the data of somebody else's run another course");
    },
    export: () => Promise.reject(refused("take out a run with its data")),
    // The text may be forged, for instance as a run that sends the end of another one to an address.
    import: () => Promise.reject(refused("bring in a run, whose history may have it read others")),
  };
}

function redactSchedules(schedules: Schedules, redaction: Redaction): Schedules {
  return {
    list: async (workflow) => (await schedules.list(workflow)).map(redaction.schedule),
    find: async (id, next) => redaction.schedule(await schedules.find(id, next)),
    create: async (request) => {
      const { schedule, created } = await schedules.create(request);
      return { schedule: redaction.schedule(schedule), created };
    },
    change: async (id, change) => redaction.schedule(await quoted(redaction, schedules.change(id, change))),
    remove: (id, request) => schedules.remove(id, request),
    trigger: async (id, request) => made(redaction, await quoted(redaction, schedules.trigger(id, request))),
    backfill: (id, request) => quoted(redaction, schedules.backfill(id, request)),
    tick: () => schedules.tick(),
  };
}

/** For callers who see shapes: refuses to give stored input to a workflow that may show it, as a label or a lane's key. */
function kept(schedules: Schedules): Schedules {
  return {
    ...schedules,
    change: async (id, change) => {
      const { workflow, input } = change;
      if (workflow !== undefined && input === undefined && workflow !== (await schedules.find(id, 0)).workflow) {
        throw refused("give the input of a schedule to another workflow");
      }
      return await schedules.change(id, change);
    },
  };
}

function redactHooks(hooks: Hooks, isBlind: boolean): Hooks {
  return {
    ...hooks,
    revoke: async (id, call, request) => {
      const { url } = await hooks.revoke(id, call, request);
      return { url: isBlind ? hidden : url };
    },
  };
}

function made(redaction: Redaction, { run, created }: Made): Made {
  return { run: redaction.run(run, Date.now()), created };
}

function refused(what: string): HoldfastError {
  return new HoldfastError("payload_hidden", `Who sees shapes only may not ${what}.`);
}

/** Redacts refusals, because their messages may quote stored values. */
async function quoted<Value>(redaction: Redaction, pending: Promise<Value>): Promise<Value> {
  try {
    return await pending;
  } catch (error) {
    throw redaction.refusal(error);
  }
}

/** Maps a stream piece by piece, and reads only on demand. */
function mapped<Piece>(stream: ReadableStream<Piece>, map: (piece: Piece) => Piece): ReadableStream<Piece> {
  const reader = stream.getReader();
  return new ReadableStream<Piece>(
    {
      async pull(controller) {
        const next = await reader.read();
        if (next.done) controller.close();
        else controller.enqueue(map(next.value));
      },
      cancel: () => reader.cancel(),
    },
    { highWaterMark: 0 },
  );
}
