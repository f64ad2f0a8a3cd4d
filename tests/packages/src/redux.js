import { configureStore, createSlice } from "@reduxjs/toolkit";
import { createStore } from "zustand/vanilla";

export default {
  async fetch(request) {
    const counter = createSlice({ name: "counter", initialState: { value: 0 }, reducers: { add: (state, action) => void (state.value += action.payload) } });
    const store = configureStore({ reducer: { counter: counter.reducer } });
    store.dispatch(counter.actions.add(3));
    await store.dispatch(async (dispatch) => dispatch(counter.actions.add(4)));
    const zustand = createStore((set) => ({ n: 0, inc: () => set((state) => ({ n: state.n + 1 })) }));
    zustand.getState().inc();
    return Response.json({ state: store.getState(), zustand: zustand.getState().n });
  },
};
