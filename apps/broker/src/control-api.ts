// The dynamic-security API on its topic: payloads go to the engine one after the other, and what they change reaches everybody at once.
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import type { DynsecEngine, Executed } from '@keyline/dynsec';
import { endSession, endSuperseded } from './end-session.ts';
import type { LiveSession, LiveSessions } from './live-sessions.ts';
import type { Metrics } from './metrics.ts';

const controlTopic = '$CONTROL/dynamic-security/v1';
const responseTopic = `${controlTopic}/response`;

/** MQTT 5 DISCONNECT: ended by an administrative action. */
const administrativeAction = 0x98;

interface ControlApiOptions {
  readonly dynsec: Pick<DynsecEngine, 'execute'>;
  readonly sessions: LiveSessions;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly applyRights: (changed: Executed['rightsChanged']) => void;
  /** What was changed could not be written down and holds all the same: who would not be let in now goes, whatever it was. */
  readonly judgeEverybody: () => void;
}

export class ControlApi {
  readonly #options: ControlApiOptions;

  constructor(options: ControlApiOptions) {
    this.#options = options;
  }

  /** @returns the MQTT 5 reason code of the acknowledgement; it goes out after what was asked for is durable */
  async handle(topic: string, payload: string | Buffer, admin: LiveSession): Promise<number> {
    const { dynsec, metrics, log } = this.#options;
    // There is no other API here; Mosquitto answers the same for a topic no plugin has taken.
    if (topic !== controlTopic) return 0x87;
    metrics.control.inc();
    let executed: Executed;
    try {
      executed = await dynsec.execute(
        typeof payload === 'string' ? Buffer.from(payload) : payload,
        admin,
      );
    } catch (error) {
      log.error(
        { event: 'control failed', error: messageOf(error) },
        'a dynamic-security payload could not be made durable and was not answered',
      );
      // Now, and not when it is sent again: then there is nothing left to change, and nobody to cut for it.
      this.#options.judgeEverybody();
      this.#options.applyRights(true);
      return 0x80;
    }
    for (const [username, serials] of executed.kicks.superseded) {
      for (const session of this.#options.sessions.withCertificates(username, serials)) {
        endSuperseded(session, this.#options);
      }
    }
    const meant = this.#options.sessions.meantBy(executed.kicks);
    // The one who asks may be among them, and shall read the answer first.
    const isAsking = (session: LiveSession): boolean => session.clientId === admin.clientId;
    this.#end(meant.filter((session) => !isAsking(session)));
    // To it alone: mosquitto_ctrl takes the first answer for its own and is gone, before it has asked if need be. On Mosquitto every
    // administrator reads every answer.
    if (executed.response !== '') admin.send(responseTopic, executed.response);
    const asking = meant.filter(isAsking);
    if (asking.length > 0) {
      setImmediate(() => {
        this.#end(asking);
      });
    }
    this.#options.applyRights(executed.rightsChanged);
    return 0;
  }

  #end(sessions: readonly LiveSession[]): void {
    for (const session of sessions) {
      endSession(
        session,
        {
          reason: 'administrative',
          message: 'session ended by an administrative action',
          reasonCode: administrativeAction,
          reasonString: `"${session.username}" was changed, disabled or revoked by an administrator. Connect again to see what holds now.`,
        },
        this.#options,
      );
    }
  }
}
