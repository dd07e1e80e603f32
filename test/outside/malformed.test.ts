/**
 * What is no HTTP, or only half of it, over plain sockets: bodies that break off, chunks that lie, floods of
 * headers. Nothing of it ends the Worker, is answered as if it had failed, or holds up who asks properly.
 * MALFORMED_SEED for other bytes, MALFORMED_CALLS for more of them.
 */
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { createPick } from "../core/sample.ts";
import type { Pick } from "../core/sample.ts";
import { build, client, runtime } from "./stage.ts";

const seed = process.env["MALFORMED_SEED"] ?? "1";
const calls = Number(process.env["MALFORMED_CALLS"] ?? 300);
const atOnce = 10;
/** Who says nothing more for so long is left; a whole request is answered well before. */
const patienceMs = 3000;

build("worker.ts");
beforeAll(() => runtime.start());

type Kind = {
  readonly name: string;
  readonly bytes: (pick: Pick, id: string) => string;
  readonly hangsUp?: true;
  /** The runtime answers it by itself, as it likes, and asks no Worker. */
  readonly runtimes?: true;
};

const start = "POST /v1/workflows/parcel/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const body = (id: string): string => JSON.stringify({ id, input: { fate: "wait" } });
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

/** Each is sent as it is; those that hang up leave without waiting for an answer. */
const kinds: readonly Kind[] = [
  { name: "a body that breaks off", hangsUp: true, bytes: (pick, id) => half(pick, sized(id)) },
  { name: "chunks that break off", hangsUp: true, bytes: (pick, id) => half(pick, chunked(id)) },
  { name: "a body shorter than it says", bytes: (_pick, id) => `${start}Content-Length: 9999\r\n\r\n${body(id)}` },
  { name: "chunks of no size", bytes: (pick, id) => chunked(id).replace(/\r\n\r\n\w+/, `\r\n\r\n${pick.of(sizes)}`) },
  {
    name: "a length that is none",
    bytes: (pick, id) => `${start}Content-Length: ${pick.of(sizes)}\r\n\r\n${body(id)}`,
  },
  {
    name: "two lengths",
    bytes: (_pick, id) => `${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(body(id))}0\r\n\r\n`,
  },
  { name: "an unknown coding", bytes: (_pick, id) => `${start}Transfer-Encoding: rot13\r\n\r\n${body(id)}` },
  {
    name: "a flood of headers",
    bytes: (pick) => `GET /health HTTP/1.1\r\n${"X-Flood: yes\r\n".repeat(pick.of([500, 20_000]))}\r\n`,
  },
  { name: "a long header", bytes: (pick) => `GET /health HTTP/1.1\r\nX: ${"a".repeat(pick.of([9000, 2e5]))}\r\n\r\n` },
  { name: "a long address", bytes: (pick) => `GET /${"a".repeat(pick.of([9000, 2e5]))} HTTP/1.1\r\n\r\n` },
  { name: "no address", bytes: (pick) => `GET ${pick.of(["", "*", "//", "http://", "\0", "x"])} HTTP/1.1\r\n\r\n` },
  {
    name: "a host that is none",
    bytes: (pick) => `GET ${pick.of(["/health", "/", "/v1/runs"])} HTTP/1.1\r\nHost: ${pick.of(hosts)}\r\n\r\n`,
  },
  {
    name: "another method",
    bytes: (pick) => `${pick.of(["GOT", "get", "G\0T", ""])} /health HTTP/1.1\r\n\r\n`,
  },
  { name: "a tunnel", runtimes: true, bytes: () => "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" },
  { name: "another version", bytes: (pick) => `GET /health ${pick.of(["HTTP/9.9", "HTTP/0.9", "", "FTP"])}\r\n\r\n` },
  {
    name: "a header without a name",
    bytes: (pick) => `GET /health HTTP/1.1\r\n${pick.of([": x", "a b: c", "é: x", "x\r\n y", "x: \0"])}\r\n\r\n`,
  },
  {
    name: "half a head",
    hangsUp: true,
    bytes: (pick) => half(pick, "GET /v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  },
  { name: "noise", bytes: (pick) => Array.from({ length: 200 }, () => String.fromCharCode(pick.below(256))).join("") },
  { name: "the hello of TLS", bytes: () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
  { name: "the preface of HTTP/2", bytes: () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
  {
    name: "two requests in one, the second broken",
    bytes: (pick) => `GET /health HTTP/1.1\r\nHost: x\r\n\r\n${half(pick, start)}`,
  },
  { name: "an upgrade to nothing", bytes: () => "GET /v1/runs HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" },
];

const hosts = ["localhost:99999", "a b", "[", "localhost:x", "%"];
const sizes = ["", "-1", "zz", "0x10", "1e9", "99999999999999999999", "5, 6", "+3"];

function sized(id: string): string {
  return `${start}Content-Length: ${body(id).length}\r\n\r\n${body(id)}`;
}

function chunked(id: string): string {
  const text = body(id);
  return `${start}Transfer-Encoding: chunked\r\n\r\n${chunk(text.slice(0, 9))}${chunk(text.slice(9))}0\r\n\r\n`;
}

function half(pick: Pick, text: string): string {
  return text.slice(0, 1 + pick.below(text.length - 1));
}

/** @returns what came back until the other side, or patience, ended; null where nobody listens */
function send(bytes: string, hangsUp: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(runtime.port, "127.0.0.1", () => {
      socket.write(Buffer.from(bytes, "latin1"), () => {
        if (hangsUp) socket.destroy();
        else socket.end();
      });
    });
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on("data", (part) => (answer += part.toString("latin1")));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") resolve(null);
    });
    socket.on("close", () => resolve(answer));
  });
}

test(
  `guarantees 1 and 8: what is no request is refused or dropped, and harms nobody (MALFORMED_SEED=${seed})`,
  { timeout: 60_000 + calls * 400 },
  async () => {
    const statuses = new Map<string, number>();
    const accepted: string[] = [];
    const play = async (name: number): Promise<void> => {
      const pick = createPick(`${seed} ${name}`);
      for (let n = 0; n < calls / atOnce; n++) {
        const kind = pick.of(kinds);
        const id = `odd-${name}-${n}`;
        const answer = await send(kind.bytes(pick, id), kind.hangsUp === true);
        expect(answer, `${kind.name}: somebody listens`).not.toBeNull();
        const status = /^HTTP\/1\.1 (\d{3})/.exec(answer ?? "")?.[1] ?? "nothing";
        if (kind.runtimes === true) expect(answer).not.toContain("application/problem+json");
        else expect(status, `${kind.name}: ${answer}`).not.toMatch(/^50[^15]$/);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === "201") accepted.push(id);
        // In between somebody asks properly.
        if (n % 5 === 0) accepted.push((await client.start("parcel", `even-${name}-${n}`, { fate: "wait" })).id);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, (_, name) => play(name)));
    expect(runtime.isOver).toBe(false);
    console.log(`malformed: answered ${[...statuses].map(([status, n]) => `${n} × ${status}`).join(", ")}`);
    expect(statuses.get("400") ?? 0).toBeGreaterThan(calls / 10);
    for (const id of accepted) expect(await client.run(id)).toMatchObject({ id, workflow: "parcel" });
  },
);
