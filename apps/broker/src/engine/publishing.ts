// A PUBLISH from a client, from the question whether it may to its acknowledgement.
import type { Aedes, Client, PublishPacket } from 'aedes';
import type { DynsecEngine } from '@keyline/dynsec';
import type { ControlApi } from '../control-api.ts';
import type { Gate } from '../gate.ts';
import type { LiveSession } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { EnginePublish } from './aedes-client.ts';
import type { Visitors } from './visitor.ts';
import { acknowledge } from './wire.ts';

interface PublishingOptions {
  readonly visitors: Visitors;
  readonly dynsec: Pick<DynsecEngine, 'mayPublish'>;
  readonly gate: Gate;
  readonly control: ControlApi;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly publish: Aedes['publish'];
}

type Done = (error?: Error | null) => void;

interface Denial {
  readonly action: string;
  readonly happened: string;
  readonly remedy: string;
  readonly reasonCode: number;
}

export class Publishing {
  readonly #options: PublishingOptions;

  constructor(options: PublishingOptions) {
    this.#options = options;
  }

  /** aedes' hook: for packets, and for wills that are due. */
  authorize(client: Client | null, packet: PublishPacket, done: Done): void {
    if (client === null) {
      done();
      return;
    }
    const { live } = this.#options.visitors.of(client);
    if (live === undefined) throw new Error('a message from a connection without a session');
    // A will is a part of the CONNECT packet, and no packet.
    if ((packet.cmd as string | undefined) !== 'publish') {
      const isGone = this.#options.gate.refusalOf(live.identity) !== undefined;
      const isAllowed = !isGone && this.#options.dynsec.mayPublish(live, packet.topic);
      done(isAllowed ? null : new Error('The will was dropped: there is no right to its topic.'));
      return;
    }
    this.#options.metrics.received.inc({ qos: packet.qos });
    const denial = this.#findDenial(live, packet);
    if (denial !== undefined) this.#deny(client, live, packet, denial);
    else if (packet.topic.startsWith('$CONTROL/')) {
      this.#control(client, live, packet, done);
      return;
    } else if (packet.qos === 1) {
      this.#publishThenAcknowledge(client, packet, done);
      return;
    }
    done();
  }

  #findDenial(live: LiveSession, { topic, payload }: PublishPacket): Denial | undefined {
    const { dynsec, limits } = this.#options;
    if (limits.messageSizeLimit > 0 && payload.length > limits.messageSizeLimit) {
      return {
        action: 'publish-size',
        happened: `"${live.username}" published ${payload.length} bytes to "${topic.slice(0, 200)}".`,
        remedy: `Send at most ${limits.messageSizeLimit} bytes, or raise --message-size-limit.`,
        reasonCode: 0x95,
      };
    }
    if (topic.startsWith('$SYS/') || !dynsec.mayPublish(live, topic)) {
      return {
        action: 'publish',
        happened: `"${live.username}" may not publish to "${topic.slice(0, 200)}".`,
        remedy: 'Publish to a topic of its role, or add the right publishClientSend to the role.',
        reasonCode: 0x87,
      };
    }
    return undefined;
  }

  /**
   * A denied message ends there, and the connection stands: cutting it, as AWS IoT does, would turn one wrong topic in a
   * firmware into a storm of reconnects. MQTT 5 says why in the acknowledgement; MQTT 3.1.1 has no word for it, and without
   * an acknowledgement the client would send the message again and again, so it gets a plain one, as from Mosquitto.
   */
  #deny(client: Client, live: LiveSession, packet: EnginePublish, denial: Denial): void {
    const { metrics, refusals } = this.#options;
    const { action, happened, remedy, reasonCode } = denial;
    metrics.denied.inc({ action });
    refusals.write({
      event: 'message denied',
      reason: action,
      certificate: { cn: live.username, serialHex: live.identity.serialHex },
      clientId: live.clientId,
      topic: packet.topic.slice(0, 200),
      happened,
      remedy,
    });
    packet._notAuthorized = true;
    acknowledge(client, packet, reasonCode, `${happened} ${remedy}`);
  }

  #control(client: Client, live: LiveSession, packet: EnginePublish, done: Done): void {
    packet._notAuthorized = true;
    void this.#options.control.handle(packet.topic, packet.payload, live).then((reasonCode) => {
      acknowledge(client, packet, reasonCode);
      done();
    });
  }

  /** aedes acknowledges QoS 1 before the message is stored; a crash in between would lose what was promised. */
  #publishThenAcknowledge(client: Client, packet: EnginePublish, done: Done): void {
    packet._notAuthorized = true;
    this.#options.publish({ ...packet, clientId: client.id } as PublishPacket, (error?: Error) => {
      // Before MQTT 5 an acknowledgement can't say that it failed: without one the client sends the message again later.
      if (!(error instanceof Error)) acknowledge(client, packet, 0);
      else if (client.version === 5)
        acknowledge(client, packet, 0x80, 'The message could not be stored: see the broker’s log.');
      done();
    });
  }
}
