/** What a route is: one line of the table that the app is built from and the tests walk. */
import type { Author } from "../core/author.ts";
import type { Caller } from "./auth.ts";
import type { Config, Role } from "./config.ts";
import type { Lockout } from "./lockout.ts";

export type Route = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE" | "ALL";
  readonly path: string;
  /** What the token must at least be; "open" asks for none. */
  readonly role: Role | "open";
  /** A page of the dashboard: its refusals are pages too, and who is not signed in is sent to sign in. */
  readonly page?: true;
  readonly handle: (call: Call) => Response | Promise<Response>;
};

/** A request that was let in. */
export type Call = {
  readonly request: Request;
  /** A decoded part of the path. */
  readonly param: (name: string) => string;
  readonly author: Author;
  /** What let the request in; null where nothing was asked for. */
  readonly caller: Caller | null;
  /** @throws HoldfastError config_invalid */
  readonly config: () => Config;
  /** Counts wrong credentials. */
  readonly lockout: Lockout;
};
