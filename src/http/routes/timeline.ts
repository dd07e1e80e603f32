/** Routes of a run's timeline: its bars, and all that is recorded of one of them. */
import { defined } from "../../core/record.ts";
import { createRoom } from "../../core/value/json.ts";
import { barKinds } from "../../core/timeline/timeline.ts";
import type { Bar, BarAttempt, Story, Timeline } from "../../core/timeline/timeline.ts";
import { readCount, readLimit, readParameter, readQuery } from "../query.ts";
import { asOneOf } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { viewInstant, viewValue } from "../view.ts";

export const timelineRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/runs/:id/timeline", role: "read", handle: timeline },
  { method: "GET", path: "/v1/runs/:id/steps/:key", role: "read", handle: story },
];

async function timeline({ service, request, param }: Call): Promise<Response> {
  const query = readQuery(request, ["from", "limit", "kind"]);
  const [from, limit] = [readCount(query, "from") ?? 0, readLimit(query, 200)];
  const window = { from, limit, ...defined({ only: readParameter(query, "kind", asOneOf(barKinds)) }) };
  return Response.json(viewTimeline(await service.runs.timeline(param("id"), window)));
}

async function story({ service, request, param }: Call): Promise<Response> {
  readQuery(request);
  return Response.json(viewStory(await service.runs.story(param("id"), param("key"))));
}

function viewTimeline({ bars, from, total, startedAt, endedAt, ended, idle }: Timeline) {
  return {
    bars: bars.map(viewBar),
    from,
    total,
    startedAt: viewInstant(startedAt),
    endedAt: viewInstant(endedAt),
    ended,
    idle: idle.map(({ fromAt, untilAt }) => ({ from: viewInstant(fromAt), until: viewInstant(untilAt) })),
  };
}

function viewStory({ bar, input, output, sensitive, idempotencyKey }: Story) {
  const room = createRoom();
  const values = { input: viewValue(input, room), output: viewValue(output, room) };
  return { ...viewBar(bar), ...values, sensitive, idempotencyKey };
}

function viewBar({ startedAt, endedAt, until, attempts, rejected, ...bar }: Bar) {
  return {
    ...bar,
    startedAt: viewInstant(startedAt),
    endedAt: viewInstant(endedAt),
    until: viewInstant(until),
    attempts: attempts.map(viewAttempt),
    rejected: rejected.map(({ at, ...refusal }) => ({ at: viewInstant(at), ...refusal })),
  };
}

function viewAttempt({ attempt, startedAt, endedAt, error, interrupted, retryAt }: BarAttempt) {
  return {
    attempt,
    startedAt: viewInstant(startedAt),
    endedAt: viewInstant(endedAt),
    error,
    interrupted,
    retryAt: viewInstant(retryAt),
  };
}
