// A device on the broker, as MQTT.js behaves on one: what it may do is told as a value, not by an exception or a hang.
import { connect, type IClientOptions, type MqttClient } from 'mqtt';

export interface MqttIdentity {
  readonly id: string;
  /** PEM, leaf and chain. */
  readonly certificate: string;
  readonly key: string;
}

export interface BrokerAddress {
  readonly url: string;
  readonly ca: string;
}

export interface Message {
  readonly topic: string;
  readonly text: string;
  readonly retained: boolean;
}

const patience = 30_000;

export class MqttDevice {
  readonly id: string;
  readonly messages: Message[] = [];
  /** How the session ended: reason code and words; undefined while it lives. */
  ended: string | undefined;
  /** What the broker explained, in MQTT 5, when it refused or ended the session. */
  reasonString: string | undefined;
  /** When it ended, `performance.now()`. */
  endedAt = Number.NaN;
  readonly #client: MqttClient;
  readonly #changed = new Set<() => void>();

  private constructor(id: string, client: MqttClient) {
    this.id = id;
    this.#client = client;
    let reason: string | undefined;
    client.on('packetreceive', (packet) => {
      if (packet.cmd !== 'connack' && packet.cmd !== 'disconnect') return;
      this.reasonString = packet.properties?.reasonString;
    });
    client.on('message', (topic, payload, { retain }) => {
      this.messages.push({ topic, text: payload.toString('utf8'), retained: retain });
      this.#tell();
    });
    client.on('disconnect', ({ reasonCode }) => (reason = `DISCONNECT ${String(reasonCode)}`));
    client.on('error', (error) => (reason ??= error.message));
    client.on('close', () => {
      this.ended ??= reason ?? 'closed';
      this.endedAt = performance.now();
      this.#tell();
    });
  }

  /** @throws {Error} with the reason of a refusal: of the TLS handshake, or of the CONNACK */
  static async connect(
    broker: BrokerAddress,
    { id, certificate, key }: MqttIdentity,
    options: IClientOptions = {},
  ): Promise<MqttDevice> {
    const client = connect(broker.url, {
      ca: broker.ca,
      cert: certificate,
      key,
      clientId: id,
      protocolVersion: 5,
      reconnectPeriod: 0,
      connectTimeout: patience,
      ...options,
    });
    const device = new MqttDevice(id, client);
    await new Promise<void>((resolve, reject) => {
      const refuse = (why: string): void => {
        const explained = device.reasonString === undefined ? '' : `: ${device.reasonString}`;
        reject(new Error(`${why}${explained}`));
      };
      client.once('connect', () => resolve());
      client.once('error', ({ message }) => refuse(message));
      client.once('close', () => refuse(device.ended ?? 'closed'));
    });
    return device;
  }

  /** Why the broker does not let it in; undefined when it does (and the connection is closed again). */
  static async whyRefused(
    broker: BrokerAddress,
    identity: MqttIdentity,
    options: IClientOptions = {},
  ): Promise<string | undefined> {
    let device: MqttDevice;
    try {
      device = await MqttDevice.connect(broker, identity, options);
    } catch (error) {
      return (error as Error).message;
    }
    // In TLS 1.3 a client learns only after its first words that the server did not want its certificate.
    await device.close();
    return undefined;
  }

  /** QoS 1, so that the broker answers. */
  publish(
    topic: string,
    text: string,
    options: { retain?: boolean } = {},
  ): Promise<'accepted' | 'refused'> {
    return this.#verdict(async () => {
      const packet = await this.#client.publishAsync(topic, text, { qos: 1, ...options });
      return ((packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0) < 128;
    });
  }

  subscribe(filter: string): Promise<'accepted' | 'refused'> {
    return this.#verdict(async () => {
      const granted = await this.#client.subscribeAsync(filter, { qos: 1 });
      return granted.every(({ qos }) => qos < 128);
    });
  }

  /** A broker may refuse by an answer or by ending the connection: both are a refusal, silence is a failure. */
  async #verdict(ask: () => Promise<boolean>): Promise<'accepted' | 'refused'> {
    const ended = this.until(() => this.ended !== undefined, 'an answer').then(() => false);
    const answered = ask().catch(() => false);
    const result = await Promise.race([answered, ended]);
    ended.catch(() => undefined);
    return result ? 'accepted' : 'refused';
  }

  /** The next message on a topic that has not been taken yet. */
  async take(topic: string): Promise<string> {
    const find = (): number => this.messages.findIndex((message) => message.topic === topic);
    await this.until(() => find() >= 0, `a message on ${topic}`);
    return this.messages.splice(find(), 1)[0]?.text ?? '';
  }

  /** When the session has ended, by whoever. */
  async untilEnded(): Promise<string> {
    await this.until(() => this.ended !== undefined, 'the end of its session');
    return this.ended ?? '';
  }

  until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#changed.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#changed.delete(check);
        reject(new Error(`${this.id} waited ${patience / 1000} s for ${what} in vain`));
      }, patience);
      timer.unref();
      this.#changed.add(check);
      check();
    });
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }

  /** The connection is gone without a word, as when power fails: its will is due. */
  async drop(): Promise<void> {
    this.#client.stream.destroy();
    await this.untilEnded();
    await this.#client.endAsync(true);
  }

  #tell(): void {
    for (const check of [...this.#changed]) check();
  }
}
