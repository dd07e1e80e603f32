/** Requests that are wrong, each with the one answer it gets; and that none of them changes anything. */
import { beforeAll, describe, expect, it } from "vitest";
import { getRun } from "../../src/index.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import type { Ask, EntryJson } from "./client.ts";

type Case = readonly [what: string, call: string, options: Ask, answer: string];

const target = newId("bad-input");
const ended = newId("bad-input-ended");
const run = `/v1/runs/${target}`;
const orders = "POST /v1/workflows/web-order/runs";
const echoes = "POST /v1/workflows/web-echo/runs";
const go = `POST ${run}/signals/approval`;

const raw = (text: string): Ask => ({ raw: text });
const json = (value: unknown): Ask => ({ json: value });
const bytes = (...values: number[]): Ask => ({ raw: new Uint8Array(values) });
const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const key = (value: string): Ask => ({ json: { input: { id: "1", total: 1 } }, headers: { "idempotency-key": value } });

const bodies: Case[] = [
  ["nothing that is JSON", orders, raw("{"), "400 json_invalid"],
  ["a word", orders, raw("hello"), "400 json_invalid"],
  ["a form", orders, raw("input=1&id=2"), "400 json_invalid"],
  ["blanks only", orders, raw("  \n"), "400 json_invalid"],
  ["two documents", orders, raw("{}{}"), "400 json_invalid"],
  ["a comma too many", orders, raw('{"input":1,}'), "400 json_invalid"],
  ["single quotes", orders, raw("{'input':1}"), "400 json_invalid"],
  ["a comment", orders, raw("{} // fine"), "400 json_invalid"],
  ["NaN", orders, raw('{"input":NaN}'), "400 json_invalid"],
  ["a raw control character", orders, raw('{"input":"a\u0000b"}'), "400 json_invalid"],
  ["bytes that are not UTF-8", orders, bytes(0x22, 0xff, 0xfe, 0x22), "400 json_invalid"],
  ["half a surrogate pair as bytes", orders, bytes(0x22, 0xed, 0xa0, 0x80, 0x22), "400 json_invalid"],
  ["UTF-16", orders, bytes(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00), "400 json_invalid"],
  ["compressed bytes", orders, bytes(0x1f, 0x8b, 0x08, 0x00), "400 json_invalid"],
  ["an array", orders, json([]), "400 body_invalid"],
  ["text", orders, json("input"), "400 body_invalid"],
  ["a number", orders, json(1), "400 body_invalid"],
  ["null", orders, json(null), "400 body_invalid"],
  ["an unknown field", orders, json({ input: {}, inptu: {} }), "400 field_unknown"],
  ["a field in another case", orders, json({ Input: {} }), "400 field_unknown"],
  ["a __proto__ field", orders, raw('{"__proto__":{"input":1}}'), "400 field_unknown"],
  ["a constructor field", orders, raw('{"constructor":{}}'), "400 field_unknown"],
  ["an empty field name", orders, raw('{"":1}'), "400 field_unknown"],
  [
    "parts",
    orders,
    { raw: "x", headers: { "content-type": "multipart/form-data; boundary=x" } },
    "415 content_type_unsupported",
  ],
  ["more than 24 MiB", orders, { raw: new Uint8Array(24 * 1024 * 1024 + 1) }, "413 body_too_large"],
  [
    "a value of more than 16 MiB",
    echoes,
    { raw: `{"input":"${"x".repeat(17 * 1024 * 1024)}"}` },
    "413 value_too_large",
  ],
];

const starts: Case[] = [
  ["an unknown workflow", "POST /v1/workflows/none/runs", {}, "404 workflow_not_found"],
  ["a workflow of 5,000 characters", `POST /v1/workflows/${"w".repeat(5000)}/runs`, {}, "404 workflow_not_found"],
  ["a prototype's name as workflow", "POST /v1/workflows/__proto__/runs", {}, "404 workflow_not_found"],
  ["no input where one is needed", orders, {}, "422 input_invalid"],
  ["a null input", orders, json({ input: null }), "422 input_invalid"],
  ["an input of other types", orders, json({ input: { id: 1, total: "1" } }), "422 input_invalid"],
  ["a number beyond all numbers", orders, raw('{"input":{"id":"1","total":1e999}}'), "422 input_invalid"],
  ["an unknown $type", echoes, json({ input: { $type: "Window" } }), "400 body_invalid"],
  ["a $type that is no text", echoes, json({ input: [{ $type: 7 }] }), "400 body_invalid"],
  ["a $type with more beside it", echoes, json({ input: { $type: "NaN", more: 1 } }), "400 body_invalid"],
  ["no date", echoes, json({ input: { $type: "Date", value: "yesterday" } }), "400 body_invalid"],
  ["no base64", echoes, json({ input: { $type: "Uint8Array", value: "?" } }), "400 body_invalid"],
  ["a map of no pairs", echoes, json({ input: { $type: "Map", value: [[1]] } }), "400 body_invalid"],
  ["no big integer", echoes, json({ input: { $type: "BigInt", value: "1.5" } }), "400 body_invalid"],
  ["a broken pattern", echoes, json({ input: { $type: "RegExp", value: { source: "(" } } }), "400 body_invalid"],
  ["a __proto__ key in a value", echoes, raw('{"input":{"__proto__":{"admin":true}}}'), "400 body_invalid"],
  ["300 levels", echoes, raw(`{"input":${nested(300)}}`), "400 body_invalid"],
  ["200,000 levels", echoes, raw(`{"input":${nested(200_000)}}`), "400 body_invalid"],
  ["an empty id", echoes, json({ id: "" }), "400 id_invalid"],
  ["a null id", echoes, json({ id: null }), "400 id_invalid"],
  ["an id that is a number", echoes, json({ id: 7 }), "400 id_invalid"],
  ["an id with a slash", echoes, json({ id: "a/b" }), "400 id_invalid"],
  ["an id with a blank", echoes, json({ id: "a b" }), "400 id_invalid"],
  ["an id with a line break", echoes, json({ id: "a\n" }), "400 id_invalid"],
  ["an id with NUL", echoes, json({ id: "a\0" }), "400 id_invalid"],
  ["an id that begins with a dot", echoes, json({ id: ".a" }), "400 id_invalid"],
  ["an id of other letters", echoes, json({ id: "ä" }), "400 id_invalid"],
  ["an id of 129 characters", echoes, json({ id: "a".repeat(129) }), "400 id_invalid"],
  ["labels in a list", echoes, json({ labels: ["a"] }), "400 body_invalid"],
  ["null labels", echoes, json({ labels: null }), "400 body_invalid"],
  ["a label that is a number", echoes, json({ labels: { a: 1 } }), "400 body_invalid"],
  [
    "65 labels",
    echoes,
    json({ labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [n, ""])) }),
    "400 label_invalid",
  ],
  ["a label without a key", echoes, json({ labels: { "": "a" } }), "400 label_invalid"],
  ["a label's key of 257 characters", echoes, json({ labels: { ["k".repeat(257)]: "a" } }), "400 label_invalid"],
  ["a label of 1025 characters", echoes, json({ labels: { a: "v".repeat(1025) } }), "400 label_invalid"],
  ["a label with half a surrogate pair", echoes, raw('{"labels":{"a":"\\ud800"}}'), "400 label_invalid"],
  ["a label with NUL", echoes, json({ labels: { a: "\0" } }), "400 label_invalid"],
  ["a label called __proto__", echoes, raw('{"labels":{"__proto__":"a"}}'), "400 label_invalid"],
  ["a delay without a unit", echoes, json({ delay: "10" }), "400 duration_invalid"],
  ["an empty delay", echoes, json({ delay: "" }), "400 duration_invalid"],
  ["a negative delay", echoes, json({ delay: -1 }), "400 duration_invalid"],
  ["a null delay", echoes, json({ delay: null }), "400 duration_invalid"],
  ["an endless delay", echoes, raw('{"delay":1e999}'), "400 duration_invalid"],
  ["a delay of a thousand years", echoes, json({ delay: "52000 weeks" }), "400 duration_invalid"],
  ["a startAt that is a number", echoes, json({ startAt: 1_900_000_000_000 }), "400 body_invalid"],
  ["a startAt without a zone", echoes, json({ startAt: "2030-01-01T00:00:00" }), "400 body_invalid"],
  ["a startAt without a time", echoes, json({ startAt: "2030-01-01" }), "400 body_invalid"],
  ["a notAfter without a time", echoes, json({ notAfter: "2030-01-01" }), "400 body_invalid"],
  ["a day the calendar does not have", echoes, json({ startAt: "2030-02-30T00:00:00Z" }), "400 body_invalid"],
  ["a delay and a startAt", echoes, json({ delay: 1, startAt: "2030-01-01T00:00:00Z" }), "400 body_invalid"],
  ["an empty key", orders, key(""), "400 idempotency_key_invalid"],
  ["a key of 257 characters", orders, key("k".repeat(257)), "400 idempotency_key_invalid"],
  ["a key of other letters", orders, key("schlüssel"), "400 idempotency_key_invalid"],
  ["a key with a tab", orders, key("a\tb"), "400 idempotency_key_invalid"],
];

const parameters: Case[] = [
  ["an unknown parameter", "GET /v1/runs?flow=a", {}, "400 parameter_unknown"],
  ["a parameter in another case", "GET /v1/runs?Status=failed", {}, "400 parameter_unknown"],
  ["a label without a dot", "GET /v1/runs?label=a", {}, "400 parameter_unknown"],
  ["a parameter where none is taken", "GET /v1/workflows?limit=1", {}, "400 parameter_unknown"],
  ["a parameter to liveness", "GET /health?a", {}, "400 parameter_unknown"],
  ["a parameter to an action", `POST ${run}/cancel?reason=a`, {}, "400 parameter_unknown"],
  ["a parameter to a signal", `${go}?wait=1s`, {}, "400 parameter_unknown"],
  ["a parameter given twice", "GET /v1/runs?limit=1&limit=2", {}, "400 parameter_repeated"],
  ["a label given twice", "GET /v1/runs?label.a=1&label.a=1", {}, "400 parameter_repeated"],
  ["a broken escape in a value", "GET /v1/runs?workflow=%", {}, "400 parameter_invalid"],
  ["a broken escape in a name", "GET /v1/runs?%zz=1", {}, "400 parameter_invalid"],
  ["escaped bytes that are not UTF-8", "GET /v1/runs?workflow=%ff", {}, "400 parameter_invalid"],
  ["a limit of 0", "GET /v1/runs?limit=0", {}, "400 parameter_invalid"],
  ["a limit of 201", "GET /v1/runs?limit=201", {}, "400 parameter_invalid"],
  ["a negative limit", "GET /v1/runs?limit=-1", {}, "400 parameter_invalid"],
  ["half a limit", "GET /v1/runs?limit=1.5", {}, "400 parameter_invalid"],
  ["a limit in words", "GET /v1/runs?limit=ten", {}, "400 parameter_invalid"],
  ["a limit in other digits", "GET /v1/runs?limit=%D9%A1", {}, "400 parameter_invalid"],
  ["a limit in powers", "GET /v1/runs?limit=1e1", {}, "400 parameter_invalid"],
  ["an empty limit", "GET /v1/runs?limit=", {}, "400 parameter_invalid"],
  ["an unknown status", "GET /v1/runs?status=done", {}, "400 parameter_invalid"],
  ["an empty status", "GET /v1/runs?status=", {}, "400 parameter_invalid"],
  ["a status too many", "GET /v1/runs?status=failed,", {}, "400 parameter_invalid"],
  ["an empty workflow", "GET /v1/runs?workflow=", {}, "400 parameter_invalid"],
  ["a workflow of 257 characters", `GET /v1/runs?workflow=${"w".repeat(257)}`, {}, "400 parameter_invalid"],
  ["a label without a key", "GET /v1/runs?label.=a", {}, "400 parameter_invalid"],
  ["a date without a time", "GET /v1/runs?createdAfter=2026-01-01", {}, "400 parameter_invalid"],
  ["an instant as a number", "GET /v1/runs?createdBefore=1760000000000", {}, "400 parameter_invalid"],
  ["an instant without a zone", "GET /v1/runs?createdBefore=2026-01-01T00:00:00", {}, "400 parameter_invalid"],
  ["an empty instant", "GET /v1/runs?createdAfter=", {}, "400 parameter_invalid"],
  ["an empty cursor", "GET /v1/runs?cursor=", {}, "400 cursor_invalid"],
  ["a made-up cursor", "GET /v1/runs?cursor=abc", {}, "400 cursor_invalid"],
  ["a cursor with NUL", "GET /v1/runs?cursor=%00", {}, "400 cursor_invalid"],
  ["a wait of words", `GET ${run}?wait=long`, {}, "400 duration_invalid"],
  ["an empty wait", `GET ${run}?wait=`, {}, "400 duration_invalid"],
  ["a negative wait", `GET ${run}?wait=-1s`, {}, "400 duration_invalid"],
  ["a wait of 61 s", `GET ${run}?wait=61s`, {}, "400 parameter_invalid"],
  ["a start with a wait of an hour", `${echoes}?wait=1h`, {}, "400 parameter_invalid"],
  ["an after in words", `GET ${run}/history?after=first`, {}, "400 parameter_invalid"],
  ["a negative after", `GET ${run}/history?after=-1`, {}, "400 parameter_invalid"],
  ["an after beyond whole numbers", `GET ${run}/history?after=99999999999999999`, {}, "400 parameter_invalid"],
  ["a history of 1000", `GET ${run}/history?limit=1000`, {}, "400 parameter_invalid"],
];

const paths: Case[] = [
  ["an unknown route", "GET /v1/nothing", {}, "404 route_not_found"],
  ["an unknown action", `POST ${run}/explode`, {}, "404 route_not_found"],
  ["a slash at the end", `GET ${run}/`, {}, "404 route_not_found"],
  ["a slash too many", `GET /v1//runs/${target}`, {}, "404 route_not_found"],
  ["another method", `PUT ${run}`, {}, "405 method_not_allowed"],
  ["a read of an action", `GET ${run}/cancel`, {}, "405 method_not_allowed"],
  ["a broken escape", "GET /v1/runs/%zz", {}, "400 path_invalid"],
  ["bytes that are not UTF-8", "GET /v1/runs/%ff", {}, "400 path_invalid"],
  ["half a surrogate pair", "GET /v1/workflows/%ed%a0%80", {}, "400 path_invalid"],
  ["NUL", `GET ${run}%00`, {}, "400 path_invalid"],
  ["an id with a slash", "GET /v1/runs/a%2Fb", {}, "400 id_invalid"],
  ["an id with a blank", "GET /v1/runs/a%20b", {}, "400 id_invalid"],
  ["an id of 129 characters", `GET /v1/runs/${"a".repeat(129)}`, {}, "400 id_invalid"],
  ["a history of a bad id", "GET /v1/runs/-/history", {}, "400 id_invalid"],
  ["an action on a bad id", "POST /v1/runs/-/cancel", {}, "400 id_invalid"],
  ["a signal to a bad id", "POST /v1/runs/-/signals/a", {}, "400 id_invalid"],
  ["a removal of a bad id", "DELETE /v1/runs/-", {}, "400 id_invalid"],
];

const changes: Case[] = [
  ["a null signal", go, json(null), "422 signal_invalid"],
  ["a signal of other types", go, json({ approved: "yes" }), "422 signal_invalid"],
  ["an empty signal where fields are needed", go, {}, "422 signal_invalid"],
  ["a null signal that nobody declared", `POST ${run}/signals/other`, json(null), "422 signal_invalid"],
  ["a null broadcast", `POST /v1/signals/other`, json(null), "422 signal_invalid"],
  ["a broken signal", go, raw('{"approved":'), "400 json_invalid"],
  ["a signal of an unknown $type", go, json({ $type: "Thing" }), "400 body_invalid"],
  [
    "a signal in parts",
    go,
    { raw: "x", headers: { "content-type": "Multipart/Mixed" } },
    "415 content_type_unsupported",
  ],
  [
    "a signal's key of 257 characters",
    go,
    { json: { approved: true }, headers: { "idempotency-key": "k".repeat(257) } },
    "400 idempotency_key_invalid",
  ],
  ["a signal of 257 characters' name", `POST ${run}/signals/${"n".repeat(257)}`, json({}), "400 name_invalid"],
  ["a broadcast of 257 characters' name", `POST /v1/signals/${"n".repeat(257)}`, json({}), "400 name_invalid"],
  [
    "a signal of more than 16 MiB",
    `POST ${run}/signals/other`,
    { raw: `"${"x".repeat(17 * 1024 * 1024)}"` },
    "413 value_too_large",
  ],
  ["an action with an unknown field", `POST ${run}/cancel`, json({ why: "a" }), "400 field_unknown"],
  ["an action with a list", `POST ${run}/pause`, json([]), "400 body_invalid"],
  ["a reason that is a number", `POST ${run}/terminate`, json({ reason: 7 }), "400 body_invalid"],
  ["a reason that is null", `POST ${run}/cancel`, json({ reason: null }), "400 body_invalid"],
  ["a reason of 4097 characters", `POST ${run}/pause`, json({ reason: "r".repeat(4097) }), "400 body_invalid"],
  ["a broken action", `POST ${run}/cancel`, raw("reason=a"), "400 json_invalid"],
  ["a removal with an unknown field", `DELETE ${run}`, json({ force: true }), "400 field_unknown"],
  ["a removal of a run that goes on", `DELETE ${run}`, {}, "409 run_not_ended"],
  ["a retry of a run that did not fail", `POST ${run}/retry`, {}, "409 not_retryable"],
  [
    "a start under its id with another input",
    orders,
    json({ id: target, input: { id: "2", total: 2 } }),
    "409 run_exists",
  ],
  ["a start under its id of another workflow", echoes, json({ id: target }), "409 run_exists"],
  ["a cancellation without a token", `POST ${run}/cancel`, { token: null }, "401 token_missing"],
  ["a cancellation with a wrong token", `POST ${run}/cancel`, { token: "a-token-124" }, "401 token_unknown"],
  ["a cancellation by a reader", `POST ${run}/cancel`, { token: tokens.read }, "403 role_insufficient"],
  ["a termination by an operator", `POST ${run}/terminate`, { token: tokens.operate }, "403 role_insufficient"],
  ["a signal to a run that ended", `POST /v1/runs/${ended}/signals/a`, json({}), "409 run_ended"],
  ["a resumption of a run that ended", `POST /v1/runs/${ended}/resume`, {}, "409 run_ended"],
  ["a forged webhook", "POST /hooks/abc.def", { token: null }, "404 webhook_not_found"],
  ["a webhook of odd characters", "POST /hooks/%ff%00", { token: null }, "404 webhook_not_found"],
  ["a webhook of 10,000 characters", `POST /hooks/${"a".repeat(10_000)}`, { token: null }, "404 webhook_not_found"],
];

// The last of them ends the run that all others leave as it is.
describe("guarantee 8: a wrong request has one answer", { shuffle: false }, () => {
  let before: { run: object; history: EntryJson[] };
  let endedBefore: EntryJson[];

  const state = async () => ({ run: (await ask(`GET ${run}`)).body, history: await historyOf(target) });

  beforeAll(async () => {
    await start("web-order", { id: target, input: { id: "1", total: 1 } });
    await runThatIs(target, { status: "waiting" });
    await start("web-echo", { id: ended }, "?wait=10s");
    before = await state();
    endedBefore = await historyOf(ended);
  });

  it.each([...bodies, ...starts, ...parameters, ...paths, ...changes])(
    "%s: %s",
    async (_what, call, options, answer) => {
      const { status, body, headers } = await ask(call, options);
      expect(`${status} ${String(body["code"])}`).toBe(answer);
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(body).toEqual({
        type: `urn:holdfast:problem:${String(body["code"])}`,
        title: expect.stringMatching(/\S/),
        status,
        detail: expect.stringMatching(/\S/),
        code: expect.stringMatching(/^[a-z_]+$/),
        ...(body["errors"] === undefined ? {} : { errors: expect.any(Array) }),
      });
      // Nobody is helped by an answer that repeats what they sent at length.
      expect(String(body["detail"]).length).toBeLessThan(1000);
    },
  );

  it("and changed nothing: the run is as it was, and takes what it waits for", async () => {
    expect(await state()).toEqual({ ...before, run: { ...before.run, reason: expect.any(String) } });
    expect(await historyOf(ended)).toEqual(endedBefore);
    expect((await ask(go, { json: { approved: true } })).status).toBe(202);
    await runThatIs(target, { status: "completed", output: { approved: true } });
  });

  it("and polluted nothing", () => {
    expect(Object.hasOwn(Object.prototype, "admin")).toBe(false);
  });

  it("there are at least seventy", () => {
    expect([...bodies, ...starts, ...parameters, ...paths, ...changes].length).toBeGreaterThanOrEqual(70);
  });
});

describe("a refusal names what is wrong", () => {
  const schedule = (cron: string): Ask => json({ workflow: "web-echo", cron });
  it.each<[call: string, options: Ask, said: string]>([
    ["GET /v1/runs/nobody", {}, "no run has the id nobody"],
    ["GET /v1/runs/nobody/events", {}, "no run has the id nobody"],
    ["POST /v1/runs/nobody/cancel", {}, "no run has the id nobody"],
    ["GET /v1/runs/no%20body", {}, 'unlike "no body"'],
    [orders, json({ id: 7 }), "unlike number"],
    [orders, json({ inptu: {}, b: 1 }), 'does not take, "inptu"'],
    [orders, raw('{"input":1,}'), "The body is not JSON: "],
    [orders, json({ labels: { team: "a", size: 7 } }), '"size" has another value'],
    [
      "POST /v1/schedules",
      schedule("* * *"),
      'cron "* * *" has 3 fields: it needs five, or six with the seconds first',
    ],
    ["POST /v1/schedules", schedule("0 0 0 1 1 1 2030"), "has 7 fields"],
  ])("%s: %j", async (call, options, said) => {
    const { body } = await ask(call, options);
    expect(String(body["detail"])).toContain(said);
  });
});

describe("a schema that throws", () => {
  it("has refused what it was given, with 422", async () => {
    expect(await refusal("POST /v1/workflows/web-brittle/runs", json({ input: "{bad" }))).toBe("422 input_invalid");
    const { id } = await start("web-brittle", { input: "[1]" });
    expect(await refusal(`POST /v1/runs/${id}/signals/go`, json("{bad"))).toBe("422 signal_invalid");
    await ask(`POST /v1/runs/${id}/signals/go`, json('{"a":2}'));
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: [[1], { a: 2 }] });
  });
});

describe("a handle in the Worker", () => {
  it("refuses a reason and a key that are no text of a sensible length, and the run is unharmed", async () => {
    const handle = getRun((await start("web-sleeper", {})).id);
    const refused = { code: "options_invalid" };
    for (const reason of [42, {}, 10n, "x".repeat(4097)]) {
      await expect(handle.cancel(reason as never)).rejects.toMatchObject(refused);
      await expect(handle.pause(reason as never)).rejects.toMatchObject(refused);
    }
    for (const idempotencyKey of [1, "", 10n, "x".repeat(257)] as never[]) {
      await expect(handle.signal("approval", {}, { idempotencyKey })).rejects.toMatchObject(refused);
      await expect(handle.update("none", {}, { idempotencyKey })).rejects.toMatchObject(refused);
      await expect(handle.fork({ idempotencyKey })).rejects.toMatchObject(refused);
    }
    expect(await handle.status()).toMatchObject({ status: "waiting" });
  });
});
