// The decision on a CONNECT: certificate, identity, client id, will. Pure over what dynsec knows.
import type { ConnectPacket } from '@keyline/mqtt';
import type { DynsecEngine } from '@keyline/dynsec';
import { decideClientId } from './client-id.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Identity, PeerIdentity } from './peer-identity.ts';
import type { PeerRules } from './peer-rules.ts';
import { refuse, type Refusal } from './refusal.ts';

interface ConnectPolicyOptions {
  readonly dynsec: Pick<
    DynsecEngine,
    'checkIdentity' | 'checkCertificate' | 'isRevoked' | 'boundClientId' | 'mayPublish'
  >;
  readonly admins: ReadonlySet<string>;
  readonly rules: Pick<PeerRules, 'refusalOf'>;
  readonly sessions: Pick<LiveSessions, 'size'>;
  readonly maxConnections: number;
  /** The identity that the session under a client id belongs to. */
  readonly ownerOf: (clientId: string) => string | undefined;
  /** Told of everybody who is let in: the listener counts who is not yet. */
  readonly onAdmitted?: (peerIdentity: PeerIdentity) => void;
}

export interface Admission {
  readonly identity: Identity;
  readonly clientId: string;
  /** The broker chose the client id, and an MQTT 5 client is told. */
  readonly assigned: boolean;
  readonly isAdmin: boolean;
}

export class ConnectPolicy {
  readonly #options: ConnectPolicyOptions;

  constructor(options: ConnectPolicyOptions) {
    this.#options = options;
  }

  /**
   * User name and password of the packet are not looked at: beside a certificate they can neither raise rights nor replace it, and where
   * there is none they were looked at before.
   */
  decide(
    peerIdentity: PeerIdentity,
    packet: Pick<ConnectPacket, 'clientId' | 'will'>,
  ): Admission | Refusal {
    const answer = this.#judge(peerIdentity, packet);
    if (!('reason' in answer)) this.#options.onAdmitted?.(peerIdentity);
    return answer;
  }

  #judge(
    { verdict }: PeerIdentity,
    packet: Pick<ConnectPacket, 'clientId' | 'will'>,
  ): Admission | Refusal {
    if ('refusal' in verdict) return verdict.refusal;
    const { identity } = verdict;
    const { dynsec, admins, sessions, maxConnections } = this.#options;
    const refusal = this.refusalOf(identity);
    if (refusal !== undefined) return refusal;
    const isAdmin = admins.has(identity.name) && identity.login === 'certificate';
    if (sessions.size >= maxConnections && !isAdmin) {
      return refuse('connections', `All ${maxConnections} connections are in use.`);
    }
    const answer = decideClientId({
      name: identity.name,
      requested: packet.clientId,
      isAdmin,
      choosesFreely: identity.login === 'password',
      bound: dynsec.boundClientId(identity.name),
      isIdentity: (name) => admins.has(name) || dynsec.checkIdentity(name) !== 'unknown',
    });
    if ('problem' in answer) return refuse('client-id', answer.problem);
    const { clientId, assigned } = answer;
    const owner = this.#options.ownerOf(clientId) ?? identity.name;
    // Under its own name an identity always gets through; the other one's session ends.
    if (owner !== identity.name && clientId !== identity.name) {
      return refuse(
        'client-id',
        `"${identity.name}" asked for the client id "${clientId}", under which "${owner}" has a session.`,
      );
    }
    const willTopic = packet.will?.topic;
    if (
      willTopic !== undefined &&
      (!isWillTopic(willTopic) ||
        !dynsec.mayPublish({ username: identity.name, clientId }, willTopic))
    ) {
      return refuse(
        'will-topic',
        `"${identity.name}" may not publish to its will topic "${willTopic.slice(0, 200)}".`,
      );
    }
    return { identity, clientId, assigned, isAdmin };
  }

  /** Whether the identity may be here at all; asked again whenever something is done in its name later (wills). */
  refusalOf(identity: Identity): Refusal | undefined {
    const { dynsec, admins, rules } = this.#options;
    const { name, serialHex, login } = identity;
    const refusal = rules.refusalOf(identity);
    if (refusal !== undefined) return refusal;
    if (login === 'certificate' && dynsec.isRevoked(serialHex)) {
      return refuse(
        'certificate-revoked',
        `The certificate of "${name}" (serial ${serialHex}) is revoked.`,
      );
    }
    // An admin named on the command line has to be able to make the first entries, and to mend the last.
    if (admins.has(name) && login === 'certificate') return undefined;
    switch (dynsec.checkIdentity(name)) {
      case 'known':
        return login === 'certificate' && dynsec.checkCertificate(name, serialHex) === 'unlisted'
          ? refuse(
              'certificate-unlisted',
              `The certificate of "${name}" (serial ${serialHex}) is not, or no more, on the issuing CA's list.`,
            )
          : undefined;
      case 'disabled':
        return refuse('identity-disabled', `The identity "${name}" is disabled.`);
      case 'unknown':
        return refuse('identity-unknown', `The identity "${name}" is not known to this broker.`);
    }
  }
}

// $SYS belongs to the broker, and a command to $CONTROL is not something to leave behind.
function isWillTopic(topic: string): boolean {
  return topic !== '' && !/[+#]/.test(topic) && !/^\$(SYS|CONTROL)(\/|$)/.test(topic);
}
