/**
 * Stands in for a team of Cloudflare Access: a real HTTP server that hands out its public keys as Access does,
 * and assertions signed with the private ones.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JWTPayload } from "jose";

export const audience = "aud-of-this-holdfast";

type Key = { readonly kid: string; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };

export type Team = {
  /** `http://127.0.0.1:port`, as ACCESS_TEAM_DOMAIN has it. */
  readonly issuer: string;
  /** How often the keys were asked for. */
  readonly asked: () => number;
  /** What asking for them is answered; 200 at first. */
  answer(status: number): void;
  /** Adds a key, which signs from now on; with `alone` the ones before are forgotten. */
  rotate(alone?: boolean): Promise<void>;
  /** An assertion for the claims, which may take the place of those that are right. */
  sign(claims?: JWTPayload): Promise<string>;
  close(): Promise<void>;
};

export async function openTeam(): Promise<Team> {
  let keys: Key[] = [];
  let [status, asked] = [200, 0];
  const server = createServer((request, response) => {
    if (request.url !== "/cdn-cgi/access/certs") return void response.writeHead(404).end();
    asked += 1;
    void Promise.all(keys.map(publicJwk)).then((jwks) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ keys: jwks }));
    });
  });
  const rotate = async (alone = false): Promise<void> => {
    const pair = await generateKeyPair("RS256", { extractable: true });
    keys = [...(alone ? [] : keys), { kid: crypto.randomUUID(), ...pair }];
  };
  await rotate();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    asked: () => asked,
    answer: (next) => void (status = next),
    rotate,
    sign: async (claims = {}) => {
      const key = keys.at(-1);
      if (key === undefined) throw new Error("the team has no key");
      const now = Math.floor(Date.now() / 1000);
      const right = { iss: issuer, aud: [audience], iat: now, nbf: now, exp: now + 60, sub: "1", type: "app" };
      const jwt = new SignJWT({ ...right, ...claims }).setProtectedHeader({ alg: "RS256", kid: key.kid, typ: "JWT" });
      return await jwt.sign(key.privateKey);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function publicJwk({ kid, publicKey }: Key) {
  return { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" };
}
