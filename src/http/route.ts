/** A route: one line of the table that the app is built from, and that tests go through. */
import type { Author } from "../core/author.ts";
import type { Service } from "../core/service/service.ts";
import type { Caller } from "./auth/auth.ts";
import type { Config, Role } from "./config.ts";
import type { Lockout } from "./auth/lockout.ts";

export type Route = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE" | "ALL";
  readonly path: string;
  /** The least role that is needed; "open": no token is needed. */
  readonly role: Role | "open";
  /** A page of the dashboard: its refusals are pages too, and callers who are not signed in are sent to the sign-in page. */
  readonly page?: true;
  readonly handle: (call: Call) => Response | Promise<Response>;
};

/** A request that was authorised. */
export type Call = {
  /** Shows no more than the caller may see, so that no handler can forget to redact. */
  readonly service: Service;
  readonly request: Request;
  /** A decoded part of the path. */
  readonly param: (name: string) => string;
  readonly author: Author;
  /** Who was let in; null for open routes. */
  readonly caller: Caller | null;
  /** @throws HoldfastError config_invalid */
  readonly config: () => Config;
  /** Counts wrong credentials. */
  readonly lockout: Lockout;
};
