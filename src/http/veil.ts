/**
 * Owns: a service that answers no more than its caller may see.
 * Does not own: what is left of each thing (core/veil).
 *
 * Calls are passed on as they are: who may make them is judged before. Only what would carry data out on another
 * way, past this one, is refused to who sees shapes.
 */
import { HoldfastError } from "../core/error.ts";
import type { Hooks } from "../core/hooks.ts";
import type { Runs, Service } from "../core/service.ts";
import type { Schedules } from "../core/timetable.ts";
import { hidden, veils } from "../core/veil.ts";
import type { Sight, Veil } from "../core/veil.ts";

/** The service itself for who may see all of it. */
export function veil(service: Service, sight: Sight): Service {
  if (sight === "whole") return service;
  const eye = veils[sight];
  const { workflows, signals, asks, lanes, directory, stats } = service;
  return {
    workflows: {
      list: async () => (await workflows.list()).map(eye.workflow),
      find: async (name) => eye.workflow(await workflows.find(name)),
    },
    runs: veilRuns(service.runs, eye, sight === "shapes"),
    signals,
    schedules: veilSchedules(service.schedules, eye),
    hooks: veilHooks(service.hooks, sight === "shapes"),
    asks: {
      query: async (id, name) => eye.query(await quoted(eye, asks.query(id, name))),
      update: async (id, update) => eye.update(await quoted(eye, asks.update(id, update))),
    },
    lanes: {
      list: async (query) => {
        const page = await lanes.list(query);
        return { lanes: page.lanes.map(eye.lane), cursor: page.cursor };
      },
      find: async (name, limit) => eye.lane(await lanes.find(name, limit)),
      override: async (name, limit, asked, key) => eye.lane(await lanes.override(name, limit, asked, key)),
    },
    directory: {
      count: (filter, groupBy) => directory.count(filter, groupBy),
      causes: async (filter) => (await directory.causes(filter)).map(eye.cause),
      follow: async (filter) =>
        mapped(await directory.follow(filter), (changes) =>
          changes.map((change) =>
            change.kind === "listed" ? { kind: change.kind, run: eye.summary(change.run, Date.now()) } : change,
          ),
        ),
      rebuild: async (request) => eye.run(await directory.rebuild(request), Date.now()),
      rekey: async (request) => eye.run(await directory.rekey(request), Date.now()),
    },
    stats,
  };
}

function veilRuns(runs: Runs, eye: Veil, isBlind: boolean): Runs {
  const show = async (run: ReturnType<Runs["read"]>) => eye.run(await quoted(eye, run), Date.now());
  return {
    start: async (request) => {
      if (isBlind && request.notify !== undefined) throw refused("have the end told to an address");
      const { run, update, ...rest } = await runs.start(request);
      const answered = update === undefined ? {} : { update: eye.update(update) };
      return { ...rest, run: eye.run(run, Date.now()), ...answered };
    },
    read: (id, waitMs) => show(runs.read(id, waitMs)),
    history: async (id, after, limit) => {
      const { entries, next } = await runs.history(id, after, limit);
      return { entries: entries.map(eye.entry), next };
    },
    follow: async (id, after) =>
      mapped(await runs.follow(id, after), (news) =>
        news.kind === "entries" ? { kind: news.kind, entries: news.entries.map(eye.entry) } : news,
      ),
    timeline: async (...asked) => eye.timeline(await runs.timeline(...asked)),
    story: async (id, key) => eye.story(await runs.story(id, key)),
    list: async (query) => {
      const page = await runs.list(query);
      return { runs: page.runs.map((run) => eye.summary(run, Date.now())), cursor: page.cursor };
    },
    act: (id, action) => show(runs.act(id, action)),
    fork: async (id, request) => {
      // Chosen results would steer what the run does with the rest of its data, which is not theirs to see.
      if (isBlind && (request.input !== undefined || request.results.size > 0)) {
        throw refused("give the data of somebody else's run another course");
      }
      const { run, created } = await quoted(eye, runs.fork(id, request));
      return { run: eye.run(run, Date.now()), created };
    },
    previewFork: (id, cut) => runs.previewFork(id, cut),
    export: async (id) => {
      if (isBlind) throw refused("take out a run with its data");
      return await runs.export(id);
    },
    import: async (text, request) => {
      // A text may be made up: of a run that tells an address the end of another one, for instance.
      if (isBlind) throw refused("bring in a run, whose history may have it read others");
      const { run, created } = await runs.import(text, request);
      return { run: eye.run(run, Date.now()), created };
    },
    bulk: (request) => show(runs.bulk(request)),
    count: (filter) => runs.count(filter),
  };
}

function veilSchedules(schedules: Schedules, eye: Veil): Schedules {
  return {
    list: async (workflow) => (await schedules.list(workflow)).map(eye.schedule),
    find: async (id, next) => eye.schedule(await schedules.find(id, next)),
    create: async (request) => {
      const { schedule, created } = await schedules.create(request);
      return { schedule: eye.schedule(schedule), created };
    },
    change: async (id, change) => eye.schedule(await quoted(eye, schedules.change(id, change))),
    remove: (id, request) => schedules.remove(id, request),
    trigger: async (id, request) => {
      const { run, created } = await quoted(eye, schedules.trigger(id, request));
      return { run: eye.run(run, Date.now()), created };
    },
    backfill: (id, request) => quoted(eye, schedules.backfill(id, request)),
    tick: () => schedules.tick(),
  };
}

function veilHooks(hooks: Hooks, isBlind: boolean): Hooks {
  return {
    ...hooks,
    revoke: async (id, call, request) => {
      const { url } = await hooks.revoke(id, call, request);
      return { url: isBlind ? hidden : url };
    },
  };
}

function refused(what: string): HoldfastError {
  return new HoldfastError("payload_hidden", `Who sees shapes only may not ${what}.`);
}

/** A refusal may quote what is stored. */
async function quoted<Value>(eye: Veil, asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    throw eye.refusal(error);
  }
}

/** The stream, piece by piece: nothing is read before it is asked for. */
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
