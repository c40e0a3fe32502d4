// Identities with a good certificate that dynamic security does not know. Mosquitto lets them in and asks the acl_file, whose patterns
// hold for everybody: so each that comes is made known, and denied, which also ends its session.
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import {
  deniedPriority,
  deniedRole,
  type DynsecAnswer,
  type DynsecCommand,
} from '@keyline/targets';

interface StrangerGuardOptions {
  readonly send: (commands: readonly DynsecCommand[]) => Promise<readonly DynsecAnswer[]>;
  readonly log: Logger;
  readonly onDenied: () => void;
  readonly isReady: () => boolean;
}

/** Questions are answered from memory, in microseconds each. */
const questionsPerPayload = 100;
const retryEvery = 1000;
const toldWithin = 1000;
/** 2.0 writes its whole state for each command. */
const denialsPerPayload = 4;
const why = 'Connected without being known to the issuing CA, and denied by Keyline.';

const whyCut = 'Denied; its session was ended when a CRL came into force.';

export class StrangerGuard {
  readonly #options: StrangerGuardOptions;
  readonly #seen = new Set<string>();
  /** Came in although they are denied, since the last CRL came into force. */
  readonly #denied = new Set<string>();
  #isCutDue = false;
  #secondCut: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: StrangerGuardOptions) {
    this.#options = options;
  }

  /** Somebody was let in under this name; looked up at once, or as soon as Mosquitto can be asked. */
  saw(username: string): void {
    this.#seen.add(username);
    this.wake();
  }

  /** Mosquitto can be asked now. */
  wake(): void {
    clearTimeout(this.#retry);
    if (!this.#options.isReady()) return;
    this.#turn ??= this.#work().finally(() => {
      this.#turn = undefined;
      if (this.#seen.size > 0 || this.#isCutDue)
        this.#retry = setTimeout(() => this.wake(), retryEvery).unref();
    });
  }

  /** Mosquitto is started anew: nobody is connected. */
  reset(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#secondCut);
    this.#seen.clear();
    this.#denied.clear();
    this.#isCutDue = false;
  }

  /** A CRL is in force that refuses the revoked: those of them who came in while it was on its way are still connected, without rights. */
  cutDenied(): void {
    clearTimeout(this.#secondCut);
    // Mosquitto tells of who came in through a pipe: some may be told of after the CRL was seen in force.
    this.#secondCut = setTimeout(() => {
      this.#isCutDue = true;
      this.wake();
    }, toldWithin).unref();
    this.#isCutDue = true;
    this.wake();
  }

  async #work(): Promise<void> {
    // Those who come in one burst are asked about together.
    await Promise.resolve();
    while (this.#seen.size > 0 && this.#options.isReady()) {
      const names = [...this.#seen].slice(0, questionsPerPayload);
      try {
        for (const name of names) this.#seen.delete(name);
        await this.#check(names);
      } catch (error) {
        for (const name of names) this.#seen.add(name);
        this.#options.log.warn(
          { event: 'identities not checked', count: this.#seen.size },
          `Mosquitto did not say whether it knows who connected, and is asked again: ${messageOf(error)}`,
        );
        return;
      }
    }
    if (this.#isCutDue && this.#options.isReady()) await this.#cut();
  }

  /** A device that comes again and again is cut once for each CRL, because each cut costs 2.0 a write of its whole state. */
  async #cut(): Promise<void> {
    const { send, log } = this.#options;
    this.#isCutDue = false;
    const names = [...this.#denied];
    try {
      for (let start = 0; start < names.length; start += denialsPerPayload) {
        const some = names.slice(start, start + denialsPerPayload);
        await send(
          some.map((username) => ({ command: 'modifyClient', username, textdescription: whyCut })),
        );
        for (const username of some) this.#denied.delete(username);
      }
    } catch (error) {
      this.#isCutDue = true;
      log.warn(
        { event: 'denied not cut', count: this.#denied.size },
        `Mosquitto did not end the sessions of denied identities, and is asked again: ${messageOf(error)}`,
      );
    }
  }

  async #check(names: readonly string[]): Promise<void> {
    const { send, log, onDenied } = this.#options;
    const answers = await send(names.map((username) => ({ command: 'getClient', username })));
    for (const [index, name] of names.entries()) {
      if (isDenied(answers[index])) this.#denied.add(name);
    }
    const strangers = names.filter((_name, index) => answers[index]?.error === 'Client not found');
    for (let start = 0; start < strangers.length; start += denialsPerPayload) {
      const asked = strangers.slice(start, start + denialsPerPayload);
      // With the role in one command: the issuing CA may make the device known at this moment, and then this one is refused.
      const made = await send(
        asked.map((username) => ({
          command: 'createClient',
          username,
          roles: [{ rolename: deniedRole, priority: deniedPriority }],
        })),
      );
      const some = asked.filter((_name, index) => made[index]?.error === undefined);
      if (some.length === 0) continue;
      // Being created ends no session; any change does.
      await send(
        some.map((username) => ({ command: 'modifyClient', username, textdescription: why })),
      );
      for (const username of some) {
        onDenied();
        log.warn(
          { event: 'stranger denied', certificate: { cn: username } },
          `"${username}" connected with a good certificate but is not known to the broker, and was denied everything. If it is a device, the issuing CA will make it known; look at its targets (keyline doctor).`,
        );
      }
    }
  }
}

function isDenied(answer: DynsecAnswer | undefined): boolean {
  const { client } = (answer?.data ?? {}) as { client?: { roles?: { rolename?: string }[] } };
  return client?.roles?.some(({ rolename }) => rolename === deniedRole) === true;
}
