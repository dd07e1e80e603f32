/** What fragments of the docs take as given: imports that are shown once, and whatever a reader's own code would be. */
import type * as holdfast from "holdfast";
import type * as client from "holdfast/client";
import type * as testing from "holdfast/testing";
import type * as vitest from "vitest";
import type { approveOrder as approve } from "./workflows.ts";

type Bank = { charge(order: Order): Promise<{ id: string }> };

declare global {
  const defineWorkflow: typeof holdfast.defineWorkflow;
  const defineWebhook: typeof holdfast.defineWebhook;
  const createWorker: typeof holdfast.createWorker;
  const getRun: typeof holdfast.getRun;
  const presets: typeof holdfast.presets;
  const signal: typeof holdfast.signal;
  const verify: typeof holdfast.verify;
  const NonRetryableError: typeof holdfast.NonRetryableError;
  type Delivery = holdfast.Delivery;
  const createClient: typeof client.createClient;
  const rehearse: typeof testing.rehearse;
  const expect: typeof vitest.expect;
  const test: typeof vitest.test;
  const vi: typeof vitest.vi;

  interface Env {
    readonly HOLDFAST: Fetcher;
    readonly HOLDFAST_TOKEN: string;
    readonly GITHUB_SECRET: string;
    readonly META_SECRET: string;
    readonly META_TOKEN: string;
    readonly ORDERS: Workflow;
    readonly SLACK_SECRET: string;
    readonly STRIPE_SECRET: string;
  }
  namespace Cloudflare {
    interface Env {
      readonly RUNS: DurableObjectNamespace;
    }
    interface GlobalProps {
      readonly mainModule: { readonly default: ExportedHandler };
    }
  }
  namespace NodeJS {
    interface ProcessEnv {
      readonly HOLDFAST_TOKEN?: string;
    }
  }

  type Order = { id: string; total: number; email: string };
  type Push = { ref: string };
  const env: Env;
  const step: holdfast.Step;
  const approveOrder: typeof approve;
  const announcePush: holdfast.Workflow<Push, void>;
  const makeInvoice: holdfast.Workflow<{ order: string }, { number: string }>;
  const onEvent: holdfast.Workflow<{ event_id: string }, void>;
  const shipOrder: holdfast.Workflow<{ id: string }, void>;
  const sendNewsletter: holdfast.Workflow<{ to: string }, void>;
  const slackEvent: holdfast.Schema<{ event_id: string }>;
  const orders: { readonly binding: Workflow };

  const user: string;
  const letters: (step: holdfast.Step) => Promise<number>;
  const transfer: (payment: object, key: string) => Promise<string>;
  const insert: (items: readonly object[], key: string) => Promise<void>;
  const authorize: (key: string) => Promise<{ id: string }>;
  const db: { load(id: string): Promise<{ email: string }> };
  const bank: Bank;
  const newBank: Bank;
  const bankUrl: string;
  const body: string;
  const document: string;
  const error: Error;
  const hook: holdfast.Webhook;
  const id: string;
  const images: readonly { url: string }[];
  const key: string;
  const notes: unknown[];
  const order: Order;
  const token: string;
  let approver: string;
  function charge(order: Order, idempotencyKey: string): Promise<{ id: string }>;
  function fa(): Promise<number>;
  function fb(): Promise<number>;
  function mail(to: string, context: holdfast.AttemptContext): Promise<void>;
  function pay(order: { id: string; total: number }, idempotencyKey?: string): Promise<{ ok: boolean }>;
  function refund(payment: string, idempotencyKey: string): Promise<void>;
  function resize(image: { url: string }): Promise<number>;
  function sendInvoice(order: Order, url: string): Promise<void>;
  function ship(id: string): Promise<{ tracking: string }>;
}
