/**
 * Senders that are known, against what they have published and against signatures that Node makes, not we.
 * Guarantee 9 in small: what is not proven to come from the sender is refused.
 */
import { createHmac } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readSignature, readTimestamp } from "../../src/core/webhook/signature.ts";
import type { Delivery, Verifier } from "../../src/core/webhook/webhook.ts";
import { verify } from "../../src/objects/webhook/verify.ts";

afterEach(() => void vi.restoreAllMocks());

const at = Date.UTC(2026, 2, 1, 9);
const now = at / 1000;
const body = '{"id":"evt_1","event_id":"Ev1","amount":1250,"note":"Grüße 🙂"}';

type Sent = { readonly headers?: Record<string, string>; readonly body?: string | Uint8Array; readonly at?: number };

function delivery({ headers = {}, body: sent = body, at: when = at }: Sent): Delivery {
  const raw = typeof sent === "string" ? new TextEncoder().encode(sent) : sent;
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(new TextDecoder().decode(raw)) as unknown;
  } catch {
    // A body that is no JSON.
  }
  return { method: "POST", headers, query: {}, body: parsed, raw, at: when };
}

function mac(secret: string | Uint8Array, content: string | Uint8Array, algorithm = "sha256") {
  return createHmac(algorithm, secret).update(content);
}

const whsec = `whsec_${Buffer.from("a secret of thirty-two bytes, ok").toString("base64")}`;

function standard(secret: string, { id = "msg_1", time = now, content = body } = {}): Record<string, string> {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  return {
    "webhook-id": id,
    "webhook-timestamp": String(time),
    "webhook-signature": `v1,${mac(key, `${id}.${time}.${content}`).digest("base64")}`,
  };
}

const github = (secret: string, content: string | Uint8Array = body) => ({
  "x-hub-signature-256": `sha256=${mac(secret, content).digest("hex")}`,
});
const stripe = (secret: string, { time = now, content = body } = {}) => ({
  "stripe-signature": `t=${time},v0=0000,v1=${mac(secret, `${time}.${content}`).digest("hex")}`,
});
const slack = (secret: string, { time = now, content = body } = {}) => ({
  "x-slack-request-timestamp": String(time),
  "x-slack-signature": `v0=${mac(secret, `v0:${time}:${content}`).digest("hex")}`,
});
const own = (secret: string, { time = now, content = body } = {}) => ({
  "x-time": String(time),
  "x-signature": mac(secret, `${time}.${content}`, "sha512").digest("base64"),
});
const ownOptions = {
  header: "X-Signature",
  algorithm: "SHA-512",
  encoding: "base64",
  timestampHeader: "X-Time",
} as const;

type Signed = { readonly time?: number; readonly content?: string };

/** Each sender: how it is known, and how it signs. */
const senders: readonly {
  readonly name: string;
  readonly other: string;
  readonly make: (secret: string | readonly string[]) => Verifier;
  readonly sign: (secret: string, signed?: Signed) => Record<string, string>;
  readonly timed: boolean;
}[] = [
  {
    name: whsec,
    other: `whsec_${Buffer.from("another secret of the same size!").toString("base64")}`,
    make: verify.standardWebhooks,
    sign: standard,
    timed: true,
  },
  {
    name: "github",
    other: "other",
    make: verify.github,
    sign: (secret, { content } = {}) => github(secret, content),
    timed: false,
  },
  { name: "stripe", other: "other", make: verify.stripe, sign: stripe, timed: true },
  { name: "slack", other: "other", make: verify.slack, sign: slack, timed: true },
  { name: "hmac", other: "other", make: (secret) => verify.hmac({ ...ownOptions, secret }), sign: own, timed: true },
];

describe("what senders have published", () => {
  test("GitHub: the example of its documentation", async () => {
    const sent = delivery({
      headers: {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
      },
      body: "Hello, World!",
    });
    expect(await verify.github("It's a Secret to Everybody")(sent)).toBe(true);
  });

  test("Slack: the example of its documentation", async () => {
    const form =
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const headers = {
      "x-slack-request-timestamp": "1531420618",
      "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    };
    const check = verify.slack("8f742231b10e8888abcd99yyyzzz85a5");
    expect(await check(delivery({ headers, body: form, at: 1531420618_000 }))).toBe(true);
    expect(await check.judge(delivery({ headers, body: form }))).toBe("its timestamp is too old");
  });

  test("Standard Webhooks: the example of its specification", async () => {
    const headers = {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const check = verify.standardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    expect(await check(delivery({ headers, body: '{"test": 2432232314}', at: 1614265330_000 }))).toBe(true);
  });
});

describe.each(senders)("$name", ({ name: secret, other, make, sign, timed }) => {
  const headers = sign(secret);

  test("takes what the sender signed, and nothing that anybody has changed", async () => {
    const check = make(secret);
    expect(await check.judge(delivery({ headers }))).toBe(null);
    for (let i = 0; i < body.length; i += 7) {
      const changed = new TextEncoder().encode(body);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(await check(delivery({ headers, body: changed }))).toBe(false);
    }
    expect(await check(delivery({ headers, body: "" }))).toBe(false);
    expect(await check(delivery({ headers, body: `${body} ` }))).toBe(false);
  });

  test("a signature that is cut, longer, empty or of another secret is refused", async () => {
    const check = make(secret);
    expect(await check(delivery({ headers: sign(other) }))).toBe(false);
    const [name = ""] = Object.keys(headers).filter((each) => each.endsWith("signature") || each.endsWith("256"));
    const right = headers[name] ?? "";
    for (const wrong of [
      "",
      right.slice(0, -2),
      `${right}00`,
      right.replace(/.$/, "_"),
      "\u0000",
      ",",
      "=",
      "v1",
      right.slice(3),
    ]) {
      expect([wrong, await check(delivery({ headers: { ...headers, [name]: wrong } }))]).toEqual([wrong, false]);
    }
  });

  test("each header is needed", async () => {
    for (const name of Object.keys(headers)) {
      const { [name]: _left, ...rest } = headers;
      expect([name, await make(secret)(delivery({ headers: rest }))]).toEqual([name, false]);
      expect(await make(secret).judge(delivery({ headers: rest }))).toContain(name);
    }
  });

  test("several secrets: each signs while one takes the place of another", async () => {
    const both = make([other, secret]);
    expect(await both(delivery({ headers }))).toBe(true);
    expect(await both(delivery({ headers: sign(other) }))).toBe(true);
    expect(await make([other])(delivery({ headers }))).toBe(false);
  });

  test.runIf(timed)("five minutes either way, by the time of the call", async () => {
    const check = make(secret);
    const ages = [-3600, -301, -300, -299, 0, 299, 300, 301, 3600];
    const taken = await Promise.all(ages.map((age) => check(delivery({ headers: sign(secret, { time: now + age }) }))));
    expect(taken).toEqual([false, false, true, true, true, true, true, false, false]);
    // The same call, once its time is over: who listened cannot send it again.
    expect(await check(delivery({ headers, at: at + 300_000 }))).toBe(true);
    expect(await check(delivery({ headers, at: at + 300_001 }))).toBe(false);
  });

  test.runIf(timed)("a time that is none, or is not the one that was signed", async () => {
    for (const time of ["", "soon", "1e9", "-1", " ", `${now}.0`, "99999999999999999999", "NaN", `${now + 1}`]) {
      const forged = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace(String(now), time)]),
      );
      expect([time, await make(secret)(delivery({ headers: forged }))]).toEqual([time, false]);
    }
  });

  test("what tells a delivery apart is signed, and the same when it comes again", async () => {
    const check = make(secret);
    const first = delivery({ headers });
    expect(check.identify(delivery({ headers: { ...headers, "x-github-delivery": "other" } }))).toEqual(
      check.identify(first),
    );
    expect(check.identify(first)).not.toBe(null);
  });
});

test("of several signatures one that is right is enough, in Stripe's and in the standard's header", async () => {
  const right = stripe("stripe")["stripe-signature"];
  const [time, , v1] = right.split(",");
  const header = `${time},v1=${"0".repeat(64)},${v1}`;
  expect(await verify.stripe("stripe")(delivery({ headers: { "stripe-signature": header } }))).toBe(true);
  const two = `${time},t=1,${v1}`;
  expect(await verify.stripe("stripe")(delivery({ headers: { "stripe-signature": two } }))).toBe(false);
  const made = standard(whsec);
  const several = { ...made, "webhook-signature": `v1a,AAAA v1,AAAA ${made["webhook-signature"]}` };
  expect(await verify.standardWebhooks(whsec)(delivery({ headers: several }))).toBe(true);
  const none = { ...made, "webhook-signature": (made["webhook-signature"] ?? "").replace("v1", "v2") };
  expect(await verify.standardWebhooks(whsec)(delivery({ headers: none }))).toBe(false);
});

test("the body is signed once for each secret, however many signatures a header has: anybody may send them", async () => {
  const counted = [vi.spyOn(crypto.subtle, "sign"), vi.spyOn(crypto.subtle, "verify")];
  const header = `${stripe("other")["stripe-signature"]}${",v1=aa".repeat(1000)}`;
  const answer = await verify.stripe(["one", "two"])(delivery({ headers: { "stripe-signature": header } }));
  expect([answer, counted.reduce((sum, { mock }) => sum + mock.calls.length, 0)]).toEqual([false, 2]);
});

test("the case of hex does not matter; names of options' headers may be written as senders do", async () => {
  const headers = github("secret");
  const upper = headers["x-hub-signature-256"].toUpperCase().replace("SHA256", "sha256");
  expect(await verify.github("secret")(delivery({ headers: { "x-hub-signature-256": upper } }))).toBe(true);
  const check = verify.hmac({ secret: "s", header: "X-Signature", prefix: "sha1=", algorithm: "SHA-1" });
  const sent = { "x-signature": `sha1=${mac("s", body, "sha1").digest("hex")}` };
  expect(await check(delivery({ headers: sent }))).toBe(true);
  const url = verify.hmac({ secret: "s", header: "X-Signature", encoding: "base64url" });
  for (const padding of ["", "="]) {
    const signature = mac("s", body).digest("base64url") + padding;
    expect(await url(delivery({ headers: { "x-signature": signature } }))).toBe(true);
  }
});

test("hmac signs what it is told to, over bytes that are no text", async () => {
  const raw = new Uint8Array([0, 255, 254, 10, 128]);
  const content = (timestamp: string, bytes: Uint8Array) => Buffer.concat([bytes, Buffer.from(`|${timestamp}`)]);
  const check = verify.hmac({ secret: "s", header: "x-signature", timestampHeader: "x-time", content });
  const time = String(at);
  const headers = { "x-time": time, "x-signature": mac("s", content(time, raw)).digest("hex") };
  expect(await check(delivery({ headers, body: raw }))).toBe(true);
  expect(await check(delivery({ headers, body: raw.slice(1) }))).toBe(false);
  expect(await verify.github("s")(delivery({ headers: github("s", raw), body: raw }))).toBe(true);
  // A mark of the byte order is signed like the rest.
  const marked = "\ufeff{}";
  expect(
    await verify.standardWebhooks(whsec)(delivery({ headers: standard(whsec, { content: marked }), body: marked })),
  ).toBe(true);
  expect(
    await verify.standardWebhooks(whsec)(delivery({ headers: standard(whsec, { content: "{}" }), body: marked })),
  ).toBe(false);
  // The standard signs text.
  expect(await verify.standardWebhooks(whsec).judge(delivery({ headers: standard(whsec), body: raw }))).toMatch(
    /UTF-8/,
  );
});

test("a name and a password: the right ones, whichever way the scheme is written", async () => {
  const check = verify.basic({ username: "shop", password: ["old pass:word", "neü"] });
  const basic = (credentials: string, scheme = "Basic") =>
    delivery({ headers: { authorization: `${scheme} ${Buffer.from(credentials).toString("base64")}` } });
  for (const right of ["shop:old pass:word", "shop:neü"]) expect(await check(basic(right))).toBe(true);
  expect(await check(basic("shop:neü", "basic"))).toBe(true);
  for (const wrong of ["shop:", "shop", ":neü", "Shop:neü", "shop:neü ", "", "shop:old pass:word,neü"])
    expect([wrong, await check(basic(wrong))]).toEqual([wrong, false]);
  expect(await check(basic("shop:neü", "Bearer"))).toBe(false);
  expect(await check(delivery({ headers: { authorization: "Basic ???" } }))).toBe(false);
  expect(await check(delivery({}))).toBe(false);
});

test("a token, in Authorization or in a header of the sender's", async () => {
  const bearer = verify.token({ token: ["one", "two"] });
  for (const right of ["Bearer one", "bearer two"]) {
    expect(await bearer(delivery({ headers: { authorization: right } }))).toBe(true);
  }
  for (const wrong of ["one", "Bearer", "Bearer ", "Bearer onetwo", "Basic one", "Bearerone", ""]) {
    expect([wrong, await bearer(delivery({ headers: { authorization: wrong } }))]).toEqual([wrong, false]);
  }
  const gitlab = verify.token({ token: "one", header: "X-Gitlab-Token" });
  expect(await gitlab(delivery({ headers: { "x-gitlab-token": "one" } }))).toBe(true);
  expect(await gitlab(delivery({ headers: { "x-gitlab-token": "One" } }))).toBe(false);
  expect(await gitlab(delivery({ headers: { authorization: "Bearer one" } }))).toBe(false);
  // Who has the token vouches for its key; without one, each call is one of its own.
  expect(gitlab.identify(delivery({ headers: { "idempotency-key": "k1" } }))).toBe("k1");
  expect(gitlab.identify(delivery({}))).toBe(null);
});

test("what identifies a delivery: the event's own id where one is signed, else what is signed", () => {
  expect(verify.stripe("s").identify(delivery({}))).toBe("evt_1");
  expect(verify.stripe("s").identify(delivery({ body: "[]" }))).toEqual(new TextEncoder().encode("[]"));
  expect(verify.slack("s").identify(delivery({}))).toBe("Ev1");
  expect(verify.slack("s").identify(delivery({ body: "a=1", headers: slack("s") }))).toEqual(
    new TextEncoder().encode(`v0:${now}:a=1`),
  );
  expect(verify.standardWebhooks(whsec).identify(delivery({ headers: standard(whsec) }))).toBe("msg_1");
});

test("a delivery is the same whatever its content type says, which nobody signs", () => {
  for (const [verifier, id] of [
    [verify.stripe("s"), "evt_1"],
    [verify.slack("s"), "Ev1"],
  ] as const) {
    for (const read of [body, new TextEncoder().encode(body), { [body]: "" }, null]) {
      expect(verifier.identify({ ...delivery({}), body: read })).toBe(id);
    }
  }
});

test("a secret that is missing is told at once, by its name", () => {
  const missing = undefined as unknown as string;
  const makers: Record<string, () => unknown> = {
    standardWebhooks: () => verify.standardWebhooks(missing),
    github: () => verify.github(""),
    stripe: () => verify.stripe([]),
    slack: () => verify.slack(["a", ""]),
    hmac: () => verify.hmac({ secret: missing, header: "x" }),
    basic: () => verify.basic({ username: "a", password: missing }),
    token: () => verify.token({ token: missing }),
  };
  for (const [preset, make] of Object.entries(makers)) {
    expect(make).toThrow(expect.objectContaining({ code: "options_invalid" }) as Error);
    expect(make).toThrow(new RegExp(`^verify\\.${preset}: (?:secret|password|token) must be .*: is it set here\\?$`));
  }
  const code = expect.objectContaining({ code: "options_invalid" }) as Error;
  expect(() => verify.standardWebhooks("whsec_***")).toThrow(code);
  expect(() => verify.basic({ username: "a:b", password: "c" })).toThrow(code);
  expect(() => verify.hmac({ secret: "s", header: "no header" })).toThrow(code);
  expect(() => verify.hmac({ secret: "s", header: "x", algorithm: "MD5" as "SHA-1" })).toThrow(code);
  expect(() => verify.hmac({ secret: "s", header: "x", encoding: "octal" as "hex" })).toThrow(code);
  expect(() => verify.stripe("s", { tolerance: "soon" })).toThrow(
    expect.objectContaining({ code: "duration_invalid" }) as Error,
  );
});

test("no secret and no signature is told in a refusal", async () => {
  for (const { name: secret, other, make, sign } of senders) {
    const why = await make(secret).judge(delivery({ headers: sign(other) }));
    expect(why).toBe("its signature is not right");
  }
});

test("timestamps and signatures are read strictly", () => {
  expect(readTimestamp("1772355600")).toBe(at);
  expect(readTimestamp("1772355600000")).toBe(at);
  for (const bad of ["", "1.5", "+1", "0x10", "١"]) expect(readTimestamp(bad)).toBe(null);
  for (const bad of ["", "a", "0g", "0 0"]) expect(readSignature(bad, "hex")).toBe(null);
  for (const bad of ["a", "a===", "a b=", "?"]) expect(readSignature(bad, "base64")).toBe(null);
});
