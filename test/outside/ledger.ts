/** The outside world of the runs: an HTTP server that writes down every effect, whoever dies. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

/** What a step tells the ledger. */
export type Report = {
  readonly run: string;
  /** `charge#2` */
  readonly step: string;
  readonly key: string;
  /** 0 where whoever reports cannot know: of a request that a courier makes. */
  readonly attempt: number;
  /** Of a scheduled run, which firing started it, epoch ms. */
  readonly slotAt: number | null;
  /** How long the ledger takes to answer. */
  readonly ms: number;
  /** Which life of the Worker it comes from, where the Worker knows. */
  readonly life?: number;
  /** Whatever else the test wants to know. */
  readonly note?: string;
};

type Sent = Omit<Report, "key"> & Partial<Pick<Report, "key">>;

export type Effect = Report & {
  /** What the step was answered: no two effects are answered the same. */
  readonly value: number;
  /** When it came, epoch ms. */
  readonly at: number;
  /** As the Worker knows it, or counted by the test. */
  readonly life: number;
};

export class Ledger {
  readonly effects: Effect[] = [];
  life = 0;
  readonly #byRun = new Map<string, Effect[]>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Ledger> {
    const server = createServer((request, response) => void ledger.#receive(request, response));
    const ledger = new Ledger(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return ledger;
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("the ledger is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  of(run: string, step?: string): Effect[] {
    const all = this.#byRun.get(run) ?? [];
    return step === undefined ? [...all] : all.filter((effect) => effect.step === step);
  }

  /** Resolves once the condition holds. @throws when it does not within `withinMs` */
  async until(what: string, withinMs: number, condition: () => boolean): Promise<void> {
    const giveUpAt = Date.now() + withinMs;
    while (!condition()) {
      if (Date.now() > giveUpAt) throw new Error(`not within ${withinMs} ms: ${what}`);
      await pause(5);
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #add(effect: Effect): void {
    this.effects.push(effect);
    const all = this.#byRun.get(effect.run);
    if (all === undefined) this.#byRun.set(effect.run, [effect]);
    else all.push(effect);
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      // What a courier sends has its key in a header only.
      const key = String(request.headers["idempotency-key"]);
      const report: Report = { key, ...(JSON.parse(await text(request)) as Sent) };
      const value = this.effects.length + 1;
      this.#add({ life: this.life, ...report, value, at: Date.now() });
      // One that is not waited for any more keeps nobody from ending.
      await pause(report.ms, undefined, { ref: false });
      // A connection kept alive might be closed just when the next step uses it.
      response.writeHead(200, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ value }));
    } catch {
      // The caller died in the middle of its report.
      response.destroy();
    }
  }
}

async function text(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const part of request) text += String(part);
  return text;
}
