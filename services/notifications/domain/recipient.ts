/** What this service knows of a user: where to write to, and how to address them. */
export interface Addressee {
  user_id: string;
  email: string;
  name: string;
  version: number;
}

/** The user is gone; the version keeps late messages from bringing the address back. */
export interface Gone {
  user_id: string;
  gone: true;
  version: number;
}

export type Recipient = Addressee | Gone;

export function isGone(recipient: Recipient): recipient is Gone {
  return 'gone' in recipient;
}

/** Messages come late and twice: only a higher version tells something new. */
export function isNews(known: Recipient | undefined, told: Recipient): boolean {
  return known === undefined || told.version > known.version;
}
