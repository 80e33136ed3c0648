/** The address and the name of a user. */
export interface Addressee {
  user_id: string;
  email: string;
  name: string;
  version: number;
}

/** A deleted user. The version keeps late events from restoring the address. */
export interface Gone {
  user_id: string;
  gone: true;
  version: number;
}

export type Recipient = Addressee | Gone;

export function isGone(recipient: Recipient): recipient is Gone {
  return 'gone' in recipient;
}

/** Whether an event is newer. Events arrive late and twice. */
export function isNews(known: Recipient | undefined, told: Recipient): boolean {
  return known === undefined || told.version > known.version;
}
