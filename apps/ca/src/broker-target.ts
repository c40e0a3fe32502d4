// The broker as a target: the dynamic-security client over mTLS, and the follower that drives it.
import type { Roles } from '@keyline/access';
import { createDynsecClient } from '@keyline/dynsec';
import { createDynsecTarget, type DynsecTarget } from '@keyline/targets';
import type { Logger } from 'pino';

export interface BrokerConnection {
  readonly target: DynsecTarget;
  close(): Promise<void>;
}

export interface BrokerOptions {
  /** mqtts:// URL. */
  readonly url: string;
  readonly roles: Roles;
  /** Asked for at each connection, so that a renewed certificate is used at the next. PEM. */
  readonly credentials: () => { readonly ca: string; readonly cert: string; readonly key: string };
  /** The broker is there (again). */
  readonly onConnect: () => void;
  readonly log: Logger;
}

export function connectBroker(options: BrokerOptions): BrokerConnection {
  const client = createDynsecClient({
    url: options.url,
    credentials: options.credentials,
    onConnect: options.onConnect,
  });
  return {
    target: createDynsecTarget({ name: 'broker', client, roles: options.roles }),
    close: () => client.close(),
  };
}
