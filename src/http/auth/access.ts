/**
 * Owns: callers that Cloudflare Access has let through: verifying its assertion, whose it is, and what they may do here.
 * Does not own: whether the request comes from a page of our own (auth).
 *
 * The assertion is a JWT, signed with RS256 by a key of the team
 * (https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/).
 */
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import type { JWTVerifyGetKey } from "jose";
import { rankOf } from "../config.ts";
import type { Access, Right } from "../config.ts";
import { passing, RequestError } from "../problem.ts";

const header = "cf-access-jwt-assertion";
const toleranceSeconds = 10;
/** How long keys are used before they are fetched anew, and how often an unknown key may have them fetched. */
const keyMs = { cacheMaxAge: 10 * 60_000, cooldownDuration: 30_000, timeoutDuration: 5000 };
const maxName = 256;

/** Who was let through. A service uses no browser, so cross-site requests are no danger to it. */
export type Visitor = { readonly kind: "person" | "service"; readonly name: string };

/** The assertion of the request; null without one, or where Access is not set up. */
export function readAssertion({ headers }: Request, access: Access | null): string | null {
  return access === null ? null : (headers.get(header)?.trim() ?? "") || null;
}

/**
 * Public keys by configuration, cached in the isolate. Keys are cached, and no promises, because a promise belongs to the
 * request that made it.
 */
const keys = new WeakMap<Access, JWTVerifyGetKey>();

function keysOf(access: Access): JWTVerifyGetKey {
  const known = keys.get(access) ?? createRemoteJWKSet(new URL(`${access.issuer}/cdn-cgi/access/certs`), keyMs);
  keys.set(access, known);
  return known;
}

/**
 * @param now epoch ms
 * @throws RequestError token_unknown: forged, expired, for another application; access_keys_unavailable
 */
export async function verifyAssertion(assertion: string, access: Access, now: number): Promise<Visitor> {
  const { issuer, audiences } = access;
  try {
    const { payload } = await jwtVerify(assertion, keysOf(access), {
      ...{ issuer, audience: [...audiences], algorithms: ["RS256"] },
      ...{ requiredClaims: ["exp", "iat"], clockTolerance: toleranceSeconds, currentDate: new Date(now) },
    });
    return visitorOf(payload);
  } catch (error) {
    throw isVerdict(error) ? unknown() : error instanceof RequestError ? error : unreachable(error);
  }
}

/** The name of a service or certificate can be anything, but not the address of a person. */
function visitorOf({ email, common_name: service }: Readonly<Record<string, unknown>>): Visitor {
  if (isName(email) && email.includes("@")) return { kind: "person", name: email.toLowerCase() };
  if (email === undefined && isName(service) && !service.includes("@")) return { kind: "service", name: service };
  throw unknown();
}

function isName(claim: unknown): claim is string {
  return typeof claim === "string" && claim !== "" && claim.length <= maxName && !/\p{Cc}/u.test(claim);
}

function unknown(): RequestError {
  return new RequestError("token_unknown", "The assertion of Cloudflare Access is not valid here; sign in again.");
}

/** The errors of jose that are about the assertion; all others are about the keys, or fetching them. */
const verdicts = [
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSMultipleMatchingKeys,
  errors.JWKSNoMatchingKey,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWTClaimValidationFailed,
  errors.JWTExpired,
  errors.JWTInvalid,
];

function isVerdict(error: unknown): boolean {
  return verdicts.some((verdict) => error instanceof verdict);
}

function unreachable(cause: unknown): RequestError {
  // oxlint-disable-next-line no-console -- the Worker's log is where somebody looks for the cause
  console.warn("holdfast: the keys of Cloudflare Access cannot be read", cause);
  const detail = "The keys of ACCESS_TEAM_DOMAIN cannot be read at the moment, so nobody is known; ask again.";
  return passing("access_keys_unavailable", detail, 5);
}

/**
 * The highest right of all matching grants; of two with the same role the one that sees more.
 * @throws RequestError role_insufficient
 */
export function rightOf(visitor: Visitor, { grants }: Access): Right {
  const [best] = grants
    .filter(({ pattern }) => fits(pattern, visitor))
    .toSorted((one, other) => rankOf(other) - rankOf(one));
  if (best !== undefined) return best;
  throw new RequestError("role_insufficient", `Access knows ${visitor.name}; ACCESS_ROLES gives them no role here.`);
}

/** A person's name has an @, that of a service has none: no pattern for the one fits the other. */
function fits(pattern: string, { name }: Visitor): boolean {
  return pattern.startsWith("*") ? name.endsWith(pattern.slice(1)) : pattern === name;
}
