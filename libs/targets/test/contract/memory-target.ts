// A target in memory, as small as one can be: what the port asks of a kind, and nothing else.
import type { Roles } from '@keyline/access';
import { KeylineError, messageOf } from '@keyline/kernel';
import type {
  ActualIdentity,
  AdmittedCertificate,
  Capabilities,
  ConnectedTarget,
  Outcome,
  PassedOver,
  Step,
} from '../../src/target.ts';
import { Reach, type TargetSurroundings } from './target-surroundings.ts';

interface Identity {
  access: 'granted' | 'denied';
  role: string;
  serials: string[];
}

export function createMemorySurroundings(capabilities: Capabilities): TargetSurroundings {
  const reach = new Reach();
  const identities = new Map<string, Identity>();
  const revoked = new Set<string>();
  const refused = new Set<string>();
  let roles: Roles = new Map();

  async function call<Result>(work: () => Result): Promise<Result> {
    try {
      return await reach.call(work);
    } catch (cause) {
      if (cause instanceof KeylineError) throw cause;
      throw new KeylineError('TARGET_UNREACHABLE', messageOf(cause), { cause });
    }
  }

  function each(steps: readonly Step[], work: (step: Step) => PassedOver | undefined): Outcome {
    const refusals = new Map<string, KeylineError>();
    const passedOver: PassedOver[] = [];
    for (const step of steps) {
      const { device } = step.desired;
      if (refused.has(device)) {
        refusals.set(device, new KeylineError('TARGET_REFUSED', `"${device}" is refused.`));
        continue;
      }
      const passed = work(step);
      if (passed !== undefined) passedOver.push(passed);
    }
    return { refusals, passedOver };
  }

  /** As `admitCertificates` of our broker. */
  function admit({
    username,
    serial,
    predecessor,
    anew,
  }: AdmittedCertificate): PassedOver | undefined {
    const identity = identities.get(username);
    if (identity === undefined) return undefined;
    const { serials } = identity;
    const before = predecessor === null ? [] : [predecessor];
    const at = serials.indexOf(serial);
    const kept = serials.filter((one) => one === predecessor);
    if (serials.length === 0 || anew === true) identity.serials = [...before, serial];
    else if (at >= 0) identity.serials = [...kept, ...serials.slice(at)];
    else if (kept.length > 0) identity.serials = [...kept, serial];
    else return { device: username, serials };
    return undefined;
  }

  function put({ desired }: Step): PassedOver | undefined {
    const { device, role, restarts, serials = [] } = desired;
    const known = restarts ? undefined : identities.get(device);
    identities.set(device, { access: 'granted', role, serials: known?.serials ?? [] });
    const serial = serials.at(-1);
    return serial === undefined || !capabilities.refusesSerials
      ? undefined
      : admit({ username: device, serial, predecessor: serials.at(-2) ?? null });
  }

  function deny({ desired }: Step): undefined {
    const { device, state, isOver = false } = desired;
    const staysKnown = state === 'suspended' || (!capabilities.deniesUnknown && !isOver);
    if (state === 'registered' || !staysKnown) identities.delete(device);
    else {
      const serials = identities.get(device)?.serials ?? [];
      identities.set(device, { access: 'denied', role: '', serials });
    }
  }

  const open: TargetSurroundings['open'] = (events): ConnectedTarget => {
    let isPrepared = false;
    const target: ConnectedTarget = {
      ...{ name: 'memory', url: 'memory://' },
      get isConnected() {
        return !reach.isAway;
      },
      prepare: (wanted) =>
        call(() => {
          isPrepared = true;
          const changed = roles === wanted ? 0 : wanted.size;
          roles = wanted;
          return changed;
        }),
      capabilities: () => (isPrepared ? capabilities : undefined),
      async *list() {
        const all = [...identities].map(([device, { access, role, serials }]): ActualIdentity => ({
          ...{ device, access, serials: [...serials] },
          ...(access === 'granted' ? { role } : {}),
        }));
        for (let start = 0; start <= all.length; start += 500) {
          yield await call(() => all.slice(start, start + 500));
        }
      },
      batchSize: () => 50,
      put: (steps) => call(() => each(steps, put)),
      deny: (steps, ended) =>
        call(() => {
          if (capabilities.refusesSerials) for (const serial of ended) revoked.add(serial);
          return each(steps, deny);
        }),
      unansweredFor: () => 0,
      admit: (certificates) => call(() => certificates.flatMap((one) => admit(one) ?? [])),
      takeReports: () => call(() => []),
      settleUses: () => call(() => undefined),
      giveRoles: () => Promise.resolve(0),
      dropRoles: () => Promise.resolve(),
      takePresence: () => call(() => undefined),
      reconnect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    queueMicrotask(() => reach.add(events));
    return target;
  };

  const isIn = (device: string): boolean =>
    capabilities.deniesUnknown
      ? identities.get(device)?.access === 'granted'
      : identities.get(device)?.access !== 'denied';
  return {
    open,
    goAway: () => reach.goAway(),
    comeBack: () => reach.comeBack(),
    loseAnswerAfter: (calls) => reach.loseAnswerAfter(calls),
    empty: () => {
      identities.clear();
      revoked.clear();
      roles = new Map();
      return Promise.resolve();
    },
    grant: (device, role) => {
      const serials = identities.get(device)?.serials ?? [];
      identities.set(device, { access: 'granted', role, serials });
      return Promise.resolve();
    },
    remove: (device) => {
      identities.delete(device);
      return Promise.resolve();
    },
    refuse: (device) => void refused.add(device),
    letsIn: (device, serial) => {
      const listed = identities.get(device)?.serials ?? [];
      const isListed = listed.length === 0 || listed.includes(serial);
      return isIn(device) && isListed && !revoked.has(serial);
    },
    mayPublish: (device, topic) =>
      isIn(device) &&
      (roles.get(identities.get(device)?.role ?? '')?.publish ?? []).some(
        (filter) => filter.replace('%u', device) === topic,
      ),
    close: () => Promise.resolve(),
  };
}
