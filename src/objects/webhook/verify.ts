/**
 * Owns: `verify`: verifying calls of known senders, each by the sender's own rules.
 * Does not own: the effect of the result (engine/wait/delivery), parsing headers (core/webhook/signature).
 * Invariant 1: signatures are computed over the received bytes, and compared in constant time.
 * Invariant 2: the time is that of the call, an argument: no clock is read.
 */
import { Webhook } from "standardwebhooks";
import { isSameBytes, joinBytes, readUtf8 } from "../../core/bytes.ts";
import { toMs } from "../../core/duration.ts";
import type { Duration } from "../../core/duration.ts";
import type { HoldfastError } from "../../core/error.ts";
import { checkOptions, refused } from "../../core/option.ts";
import { isRecord } from "../../core/record.ts";
import { readPairs, readSignature, readTimestamp, staleness } from "../../core/webhook/signature.ts";
import type { Encoding } from "../../core/webhook/signature.ts";
import type { Delivery, Verifier } from "../../core/webhook/webhook.ts";

/** One secret, or several while one is being replaced. */
export type Secret = string | readonly string[];

export type ToleranceOption = {
  /** The allowed difference between the sender's clock and ours; 5 minutes unless set. */
  readonly tolerance?: Duration;
};

export type HmacOptions = ToleranceOption & {
  readonly secret: Secret;
  /** The header with the signature. */
  readonly header: string;
  /** SHA-256 unless set. */
  readonly algorithm?: "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";
  /** "hex" unless set. */
  readonly encoding?: Encoding;
  /** The text before the signature, such as `sha256=`. */
  readonly prefix?: string;
  /** The header with the time of signing, in seconds or milliseconds; old calls are then refused. */
  readonly timestampHeader?: string;
  /** Makes the signed content; `<timestamp>.<body>` unless set, or the body if there is no timestamp. */
  readonly content?: (timestamp: string, body: Uint8Array) => string | Uint8Array;
};

export type BasicOptions = { readonly username: string; readonly password: Secret };

export type TokenOptions = {
  readonly token: Secret;
  /** Authorization unless set. */
  readonly header?: string;
  /** The scheme before the token; "Bearer" in Authorization unless set, none in other headers. */
  readonly scheme?: string;
};

type Judge = Pick<Verifier, "judge" | "identify" | "credential">;

const text = new TextEncoder();
const hmacOptions: readonly string[] = [
  ...(["secret", "header", "algorithm", "encoding", "prefix", "timestampHeader", "content", "tolerance"] as const),
] satisfies (keyof HmacOptions)[];
const defaultTolerance = "5 minutes";

export const verify = {
  /** https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature`. The tolerance is 5 minutes. */
  standardWebhooks(secret: Secret, options: ToleranceOption = {}): Verifier {
    const keys = secretsOf("standardWebhooks", "secret", secret).map(standardKey);
    const toleranceMs = toleranceOf("standardWebhooks", options);
    return verifier("standardWebhooks", {
      judge: async (call) => judgeStandard(call, keys, toleranceMs),
      identify: ({ headers }) => headers["webhook-id"] ?? null,
    });
  },

  /** `X-Hub-Signature-256`. */
  github(secret: Secret): Verifier {
    return verifier("github", hmacJudge("github", { secret, header: "x-hub-signature-256", prefix: "sha256=" }));
  },

  /** `Stripe-Signature`. */
  stripe(secret: Secret, options: ToleranceOption = {}): Verifier {
    const secrets = secretsOf("stripe", "secret", secret);
    const toleranceMs = toleranceOf("stripe", options);
    return verifier("stripe", {
      judge: (call) => judgeStripe(call, secrets, toleranceMs),
      identify: (call) => idIn(call, "id") ?? call.raw,
    });
  },

  /** `X-Slack-Signature` and `X-Slack-Request-Timestamp`. */
  slack(secret: Secret, options: ToleranceOption = {}): Verifier {
    const judge = hmacJudge("slack", {
      ...{ secret, header: "x-slack-signature", prefix: "v0=", timestampHeader: "x-slack-request-timestamp" },
      tolerance: toleranceOf("slack", options),
      content: (timestamp, body) => joinBytes([text.encode(`v0:${timestamp}:`), body]),
    });
    // A repeated event has a new signature and the same id.
    const identify = (call: Delivery) => idIn(call, "event_id") ?? judge.identify(call);
    return verifier("slack", { ...judge, identify });
  },

  /** Any sender that signs the body with a secret of yours (RFC 2104). */
  hmac(options: HmacOptions): Verifier {
    checkOptions(options, hmacOptions, "verify.hmac");
    return verifier("hmac", hmacJudge("hmac", options));
  },

  /** User name and password (RFC 7617). */
  basic(options: BasicOptions): Verifier {
    checkOptions(options, ["username", "password"], "verify.basic");
    const { username, password } = options;
    const [name = ""] = secretsOf("basic", "username", username);
    if (name.includes(":")) throw refusal("basic", "username", "must be without a colon");
    const wanted = secretsOf("basic", "password", password).map((each) => `${name}:${each}`);
    return verifier("basic", credentialJudge("authorization", "Basic", wanted, readBasic));
  },

  /** A shared token in a header. */
  token(options: TokenOptions): Verifier {
    checkOptions(options, ["token", "header", "scheme"], "verify.token");
    const { token, header = "authorization", scheme } = options;
    const wanted = secretsOf("token", "token", token);
    const name = headerOf("token", "header", header);
    const before = scheme ?? (name === "authorization" ? "Bearer" : "");
    if (typeof before !== "string") throw refusal("token", "scheme", "must be text");
    return verifier("token", credentialJudge(name, before, wanted));
  },
} as const;

function verifier(preset: string, { judge, ...more }: Judge): Verifier {
  const check = async (call: Delivery): Promise<boolean> => (await judge(call)) === null;
  return Object.assign(check, { preset, judge, ...more });
}

function refusal(preset: string, option: string, why: string): HoldfastError {
  return refused(`verify.${preset}`, option, why);
}

/** @throws HoldfastError options_invalid for secrets that would accept all calls, or none */
function secretsOf(preset: string, option: string, secret: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  const each = all.filter((one): one is string => typeof one === "string" && one !== "");
  if (each.length > 0 && each.length === all.length) return each;
  throw refusal(preset, option, "must be text that is not empty, or a list of such: is it set here?");
}

function headerOf(preset: string, option: string, name: unknown): string {
  if (typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)) return name.toLowerCase();
  throw refusal(preset, option, "must be the name of a header");
}

/** In ms. @throws HoldfastError options_invalid, duration_invalid */
function toleranceOf(preset: string, options: ToleranceOption): number {
  checkOptions(options, ["tolerance"], `verify.${preset}`);
  return spanOf(preset, options.tolerance);
}

function spanOf(preset: string, tolerance: Duration = defaultTolerance): number {
  return toMs(tolerance, `the tolerance of verify.${preset}`);
}

function standardKey(secret: string): Webhook {
  try {
    return new Webhook(secret);
  } catch {
    throw refusal("standardWebhooks", "secret", "must be whsec_ and base64, or base64 alone");
  }
}

function judgeStandard({ headers, raw, at }: Delivery, keys: readonly Webhook[], toleranceMs: number): string | null {
  const id = headers["webhook-id"];
  const sent = headers["webhook-signature"];
  const timestamp = headers["webhook-timestamp"];
  if (!id || !sent || !timestamp) return "it has no webhook-id, webhook-timestamp or webhook-signature";
  const signedAt = /^\d{1,11}$/.test(timestamp) ? Number(timestamp) * 1000 : null;
  if (signedAt === null) return "its webhook-timestamp is not a number of seconds";
  const stale = staleness(signedAt, at, toleranceMs);
  if (stale !== null) return stale;
  const body = readUtf8(raw);
  if (body === null) return "its body is not UTF-8 text, which the standard signs";
  const given = sent.split(" ").map((each) => text.encode(each));
  const right = keys.map((key) => text.encode(key.sign(id, new Date(signedAt), body)));
  return given.some((each) => right.some((one) => isSameBytes(each, one))) ? null : "its signature is not right";
}

async function judgeStripe(call: Delivery, secrets: readonly string[], toleranceMs: number): Promise<string | null> {
  const header = call.headers["stripe-signature"];
  if (header === undefined) return "it has no stripe-signature";
  const said = readPairs(header);
  const signedAt = said === null ? null : readTimestamp(said.t);
  if (said === null || signedAt === null) return "its stripe-signature is malformed";
  const stale = staleness(signedAt, call.at, toleranceMs);
  if (stale !== null) return stale;
  const content = joinBytes([text.encode(`${said.t}.`), call.raw]);
  return (await isSigned(content, said.v1, secrets, "SHA-256", "hex")) ? null : "its signature is not right";
}

function hmacJudge(preset: string, options: HmacOptions): Judge {
  const { algorithm = "SHA-256", encoding = "hex", prefix = "", content = withTimestamp } = options;
  const secrets = secretsOf(preset, "secret", options.secret);
  const header = headerOf(preset, "header", options.header);
  const clock = options.timestampHeader;
  const timestampHeader = clock === undefined ? null : headerOf(preset, "timestampHeader", clock);
  const toleranceMs = spanOf(preset, options.tolerance);
  if (!["SHA-1", "SHA-256", "SHA-384", "SHA-512"].includes(algorithm))
    throw refusal(preset, "algorithm", "must be SHA-1, SHA-256, SHA-384 or SHA-512");
  if (!["hex", "base64", "base64url"].includes(encoding))
    throw refusal(preset, "encoding", "must be hex, base64 or base64url");
  if (typeof prefix !== "string") throw refusal(preset, "prefix", "must be text");
  if (typeof content !== "function") throw refusal(preset, "content", "must be a function");
  const signed = ({ headers, raw }: Delivery): Uint8Array<ArrayBuffer> => {
    const made = content(timestampHeader === null ? "" : (headers[timestampHeader] ?? ""), raw);
    return new Uint8Array(typeof made === "string" ? text.encode(made) : made);
  };
  const judge = async (call: Delivery): Promise<string | null> => {
    const sent = call.headers[header];
    if (sent === undefined) return `it has no ${header}`;
    const stale = timestampHeader === null ? null : judgeAge(call, timestampHeader, toleranceMs);
    if (stale !== null) return stale;
    if (!sent.startsWith(prefix)) return `its ${header} does not begin with ${prefix}`;
    const isRight = await isSigned(signed(call), [sent.slice(prefix.length)], secrets, algorithm, encoding);
    return isRight ? null : "its signature is not right";
  };
  return { judge, identify: signed };
}

function judgeAge({ headers, at }: Delivery, header: string, toleranceMs: number): string | null {
  const timestamp = headers[header];
  if (timestamp === undefined) return `it has no ${header}`;
  const signedAt = readTimestamp(timestamp);
  return signedAt === null ? `its ${header} is no timestamp` : staleness(signedAt, at, toleranceMs);
}

function withTimestamp(timestamp: string, body: Uint8Array): Uint8Array {
  return timestamp === "" ? body : joinBytes([text.encode(`${timestamp}.`), body]);
}

/** Whether one of the signatures was made with one of the secrets. Each signs once: a header may have thousands to compare. */
async function isSigned(
  content: Uint8Array<ArrayBuffer>,
  signatures: readonly string[],
  secrets: readonly string[],
  hash: string,
  encoding: Encoding,
): Promise<boolean> {
  const given = signatures.flatMap((signature) => readSignature(signature, encoding) ?? []);
  for (const secret of secrets) {
    const key = await crypto.subtle.importKey("raw", text.encode(secret), { name: "HMAC", hash }, false, ["sign"]);
    const right = new Uint8Array(await crypto.subtle.sign("HMAC", key, content));
    if (given.some((each) => isSameBytes(each, right))) return true;
  }
  return false;
}

/** The holder of the credential is trusted with everything else, including the identity of a delivery. */
function credentialJudge(
  header: string,
  scheme: string,
  wanted: readonly string[],
  read: (sent: string) => string | null = (sent) => sent,
): Judge {
  const judge = async ({ headers }: Delivery): Promise<string | null> => {
    const sent = headers[header];
    if (sent === undefined) return `it has no ${header}`;
    const given = read(withoutScheme(sent, scheme) ?? "") ?? "";
    const digests = await Promise.all([given, ...wanted].map(digest));
    const [own, ...right] = digests;
    const isRight = own !== undefined && right.some((one) => isSameBytes(own, one));
    return isRight ? null : `its ${header} is not right`;
  };
  const identify = ({ headers }: Delivery) => headers["idempotency-key"] ?? headers["webhook-id"] ?? null;
  return { judge, identify, credential: header };
}

function withoutScheme(sent: string, scheme: string): string | null {
  if (scheme === "") return sent.trim();
  const isOf = sent.slice(0, scheme.length).toLowerCase() === scheme.toLowerCase() && sent[scheme.length] === " ";
  return isOf ? sent.slice(scheme.length).trim() : null;
}

function readBasic(sent: string): string | null {
  const bytes = readSignature(sent, "base64");
  return bytes === null ? null : readUtf8(bytes);
}

async function digest(given: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text.encode(given)));
}

/** An own text property of the JSON that is sent, whatever its content type says: that is not signed, and could be changed. */
function idIn({ raw }: Delivery, name: string): string | null {
  const body = readJson(raw);
  if (!isRecord(body) || !Object.hasOwn(body, name)) return null;
  const id = body[name];
  return typeof id === "string" && id !== "" ? id : null;
}

function readJson(raw: Uint8Array): unknown {
  try {
    return JSON.parse(readUtf8(raw) ?? "");
  } catch {
    return null;
  }
}
