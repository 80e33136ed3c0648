import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import type { Failure } from './failure.ts';

type Call = Parameters<ServerInterceptor>[1];

/** The calls that are open: how many there may be, and how a server that stops ends its streams. */
export interface OpenCalls {
  interceptor: ServerInterceptor;
  /** Ends all streams; what their handlers still say is not sent. */
  endStreams: (failure: Failure) => void;
}

/** In all, and of health and reflection, which strangers may call: each call takes some kilobytes. */
const MAX_CALLS = 2_000;
const MAX_PUBLIC_CALLS = 100;
/** A call that has not brought its message by then is ended, whoever makes it: nobody has looked at its token yet. Milliseconds. */
const MESSAGE_WITHIN = 10_000;

interface OpenCall {
  isPublic: boolean;
  isStream: boolean;
  isEnded: boolean;
}

export function openCalls(refusal: () => Failure): OpenCalls {
  const open = new Map<Call, OpenCall>();

  function end(call: Call, state: OpenCall, failure: Pick<Failure, 'code' | 'details'>): void {
    state.isEnded = true;
    open.delete(call);
    call.sendStatus(failure);
  }

  function hasRoomFor({ isPublic }: OpenCall): boolean {
    if (open.size >= MAX_CALLS) return false;
    return !isPublic || [...open.values()].filter((one) => one.isPublic).length < MAX_PUBLIC_CALLS;
  }

  return {
    interceptor: ({ path, responseStream: isStream }, call) => {
      const state: OpenCall = { isPublic: path.startsWith('/grpc.'), isStream, isEnded: false };
      let silence: NodeJS.Timeout | undefined;
      return new ServerInterceptingCall(call, {
        start(next) {
          next({
            onReceiveHalfClose(proceed) {
              clearTimeout(silence);
              if (!state.isEnded) proceed();
            },
            onCancel() {
              clearTimeout(silence);
              open.delete(call);
            },
          });
          if (!hasRoomFor(state)) return end(call, state, refusal());
          open.set(call, state);
          const late = {
            code: status.DEADLINE_EXCEEDED,
            details: 'The request message did not arrive in time.',
          };
          silence = setTimeout(() => end(call, state, late), MESSAGE_WITHIN).unref();
        },
        sendMessage(message, next) {
          if (!state.isEnded) next(message);
        },
        sendStatus(answer, next) {
          clearTimeout(silence);
          open.delete(call);
          if (!state.isEnded) next(answer);
        },
      });
    },
    endStreams(failure) {
      for (const [call, state] of open) if (state.isStream) end(call, state, failure);
    },
  };
}
