/** A Worker whose clock is ahead of the machine's by the variable AHEAD_MS. To be imported before anything else. */
import { env } from "cloudflare:workers";

const aheadMs = Number((env as unknown as { AHEAD_MS?: string }).AHEAD_MS ?? 0);
const machineNow = Date.now.bind(Date);

Date.now = () => machineNow() + aheadMs;

type AlarmedClass = new (
  ctx: DurableObjectState,
  env: never,
) => { alarm?(info?: AlarmInvocationInfo): Promise<void> | void };

/** The class with alarms that go by this clock. */
export function byThisClock<Class extends AlarmedClass>(objectClass: Class): Class {
  const { alarm } = objectClass.prototype as InstanceType<Class>;
  const Moved = class extends (objectClass as AlarmedClass) {
    constructor(ctx: DurableObjectState, env: never) {
      moveAlarm(ctx.storage);
      super(ctx, env);
    }
  };
  if (alarm !== undefined) {
    (Moved.prototype as { alarm: unknown }).alarm = function (this: InstanceType<Class>, info?: AlarmInvocationInfo) {
      const moved = info === undefined ? info : { ...told(info), scheduledTime: info.scheduledTime + aheadMs };
      return alarm.call(this, moved);
    };
  }
  return Moved as unknown as Class;
}

function told({ isRetry, retryCount }: AlarmInvocationInfo): Pick<AlarmInvocationInfo, "isRetry" | "retryCount"> {
  return { isRetry, retryCount };
}

function moveAlarm(storage: DurableObjectStorage): void {
  if (aheadMs === 0) return;
  const { setAlarm, getAlarm } = storage;
  storage.setAlarm = (at, options) => setAlarm.call(storage, Number(at) - aheadMs, options);
  storage.getAlarm = async (options) => {
    const at = await getAlarm.call(storage, options);
    return at === null ? null : at + aheadMs;
  };
}
