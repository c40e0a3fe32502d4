// Who comes with a user name and a password instead of a certificate, on a listener of its own: what the CONNECT says is checked before
// the engine has the connection, and becomes a peer identity like any other.
import type { Duplex } from 'node:stream';
import type { DynsecEngine } from '@keyline/dynsec';
import { peerKeyOf } from '@keyline/edge';
import type { SerialHex } from '@keyline/kernel';
import { readFirstPacket } from './first-packet.ts';
import { LoginQueue, type GuessLimits } from './login-queue.ts';
import { isName, type PeerIdentity } from './peer-identity.ts';
import { refuse, type Refusal } from './refusal.ts';

interface PasswordLoginsOptions {
  readonly dynsec: Pick<DynsecEngine, 'checkPassword'>;
  /** They have certificates, and come with those alone. */
  readonly admins: ReadonlySet<string>;
  readonly guesses: GuessLimits;
}

/** The last moment there is: a password has no end. */
const never = 8.64e15;

export class PasswordLogins {
  readonly #options: PasswordLoginsOptions;
  readonly #queue: LoginQueue;

  constructor(options: PasswordLoginsOptions) {
    this.#options = options;
    this.#queue = new LoginQueue(options.guesses);
  }

  /** Reads the CONNECT and leaves it to be read again. @returns undefined when the connection is over */
  async judge(conn: Duplex, address: string): Promise<PeerIdentity | undefined> {
    const packet = await readFirstPacket(conn);
    if (packet === undefined) return undefined;
    if (packet === 'unreadable' || packet.type !== 'connect') {
      return refusedAs(
        undefined,
        refuse('no-login', 'The first packet is no CONNECT, or one of more than 32 KiB.'),
      );
    }
    const { username, password } = packet;
    if (username === undefined || password === undefined) {
      return refusedAs(
        username,
        refuse('no-login', 'The client sent no user name, or no password.'),
      );
    }
    return this.#check(conn, username, password, peerKeyOf(address));
  }

  async #check(
    conn: Duplex,
    username: string,
    password: Buffer,
    address: string,
  ): Promise<PeerIdentity> {
    const { dynsec, admins } = this.#options;
    const answer = await this.#queue.check(
      address,
      username,
      async () =>
        (await dynsec.checkPassword(username, password)) === 'ok' &&
        isName(username) &&
        !admins.has(username),
      () => conn.destroyed,
    );
    switch (answer) {
      case 'right':
        return {
          names: { cn: username, serialHex: undefined },
          verdict: {
            identity: {
              login: 'password',
              name: username,
              serialHex: '' as SerialHex,
              notAfter: never,
              issuerId: '',
              keyId: '',
            },
          },
        };
      case 'wrong':
        // In the same words whatever it was: which names there are is nobody's business.
        return refusedAs(
          username,
          refuse(
            'bad-login',
            `The user name or the password of "${printable(username)}" is wrong.`,
          ),
        );
      case 'too-many-guesses':
        return refusedAs(
          username,
          refuse(
            'login-limit',
            `Too many wrong passwords for "${printable(username)}" or from its address.`,
          ),
        );
    }
  }
}

function refusedAs(username: string | undefined, refusal: Refusal): PeerIdentity {
  const cn = username === undefined ? undefined : printable(username);
  return { names: { cn, serialHex: undefined }, verdict: { refusal } };
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, 100);
}
