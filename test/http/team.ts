/**
 * Stands in for a team of Cloudflare Access: a real HTTP server that hands out its public keys as Access does,
 * and assertions signed with the private ones. Tests in another process ask it the same over HTTP.
 */
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JWTPayload } from "jose";

export const audience = "aud-of-this-holdfast";

/** What asking for the keys is answered: with a status, and after so long. */
export type Mood = { readonly status: number; readonly delayMs: number };

export class Team {
  /** How often the keys were asked for. */
  asked = 0;
  mood: Mood = { status: 200, delayMs: 0 };
  issuer = "";
  #keys: { readonly kid: string; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }[] = [];
  // An idle connection is never closed, which could cut off a request that comes at that very instant.
  readonly #server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    void this.#answer(request).then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });

  async open(): Promise<this> {
    await this.rotate();
    await new Promise<void>((listening) => this.#server.listen(0, "127.0.0.1", listening));
    this.issuer = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  /** Adds a key, which signs from now on. */
  async rotate(): Promise<void> {
    this.#keys.push({ kid: crypto.randomUUID(), ...(await generateKeyPair("RS256", { extractable: true })) });
  }

  /** Takes back all keys but the newest. */
  forget(): void {
    this.#keys = this.#keys.slice(-1);
  }

  /** The claims of an assertion; those given take the place of those that are right. */
  claims(own: JWTPayload = {}): JWTPayload {
    const now = Math.floor(Date.now() / 1000);
    const right = { iss: this.issuer, aud: [audience], iat: now, nbf: now, exp: now + 60, sub: "1", type: "app" };
    return { ...right, ...own };
  }

  async sign(own: JWTPayload = {}): Promise<string> {
    const { kid, privateKey } = this.newest;
    return await new SignJWT(this.claims(own)).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
  }

  get newest() {
    const key = this.#keys.at(-1);
    if (key === undefined) throw new Error("the team has no key");
    return key;
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const told = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}") as unknown;
    switch (request.url) {
      case "/cdn-cgi/access/certs": {
        this.asked += 1;
        const { status, delayMs } = this.mood;
        await new Promise((passed) => setTimeout(passed, delayMs));
        // Without the algorithm, which a key need not say: whoever reads them knows which one Access uses.
        const keys = await Promise.all(
          this.#keys.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid })),
        );
        return { status, body: { keys } };
      }
      case "/sign":
        return { status: 200, body: await this.sign(told as JWTPayload) };
      case "/rotate":
        await this.rotate();
        return { status: 200, body: null };
      case "/asked":
        return { status: 200, body: this.asked };
      case "/mood":
        this.mood = told as Mood;
        return { status: 200, body: null };
      default:
        return { status: 404, body: null };
    }
  }
}
