package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

type product struct {
	ProductID         string `json:"product_id"`
	Name              string `json:"name"`
	UnitPrice         int64  `json:"unit_price"`
	Currency          string `json:"currency"`
	OnHand            int64  `json:"on_hand"`
	Reserved          int64  `json:"reserved"`
	Sold              int64  `json:"sold"`
	Stocked           int64  `json:"stocked"`
	LowStockThreshold int64  `json:"low_stock_threshold"`
	Revision          int64  `json:"revision"`

	isChanged bool
}

func (p *product) change() { p.Revision, p.isChanged = p.Revision+1, true }

func (p *product) available() int64 { return p.OnHand - p.Reserved }

func (p *product) tag() string { return fmt.Sprintf("%q", fmt.Sprint(p.Revision)) }

// public is the product in the API.
func (p *product) public() map[string]any {
	return map[string]any{
		"product_id": p.ProductID, "name": p.Name, "unit_price": p.UnitPrice, "currency": p.Currency,
		"on_hand": p.OnHand, "reserved": p.Reserved, "available": p.available(),
	}
}

type line struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
}

type lowStock struct {
	ProductID string `json:"product_id"`
	Available int64  `json:"available"`
}

type sale struct {
	Time string     `json:"time"`
	Low  []lowStock `json:"low"`
}

type reservation struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	Lines   []line `json:"lines"`
	Time    string `json:"time"`
	Reason  string `json:"reason,omitempty"`
	Sale    *sale  `json:"sale,omitempty"`
	// Returned are the returns whose sellable lines are in the stock again.
	Returned []string `json:"returned,omitempty"`
}

type restock struct {
	Operation string `json:"operation"`
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
}

// decide changes the products, and returns the reservation after the event; nil if there is none. It does the same to the same
// documents, however often the event arrives.
func decide(kind string, orderID string, lines []line, at string, before *reservation, products map[string]*product) *reservation {
	adjust := func(change func(p *product, quantity int64)) {
		for _, one := range before.Lines {
			p := products[one.ProductID]
			change(p, one.Quantity)
			p.change()
		}
	}
	switch {
	case kind == "order.created" && before == nil:
		return reserve(orderID, lines, at, products)
	case kind == "order.paid" && before != nil && before.Status == "RESERVED":
		after := *before
		after.Status, after.Sale = "SOLD", &sale{at, []lowStock{}}
		adjust(func(p *product, quantity int64) {
			was := p.OnHand
			p.OnHand, p.Reserved, p.Sold = p.OnHand-quantity, p.Reserved-quantity, p.Sold+quantity
			if was > p.LowStockThreshold && p.OnHand <= p.LowStockThreshold {
				after.Sale.Low = append(after.Sale.Low, lowStock{p.ProductID, p.available()})
			}
		})
		return &after
	case kind == "order.created" || kind == "order.paid":
		return before
	case before == nil:
		reason := "the order ended before its stock was reserved"
		return &reservation{OrderID: orderID, Status: "RELEASED", Lines: []line{}, Time: at, Reason: reason}
	case before.Status == "RESERVED":
		adjust(func(p *product, quantity int64) { p.Reserved -= quantity })
	case before.Status == "SOLD":
		adjust(func(p *product, quantity int64) { p.OnHand, p.Sold = p.OnHand+quantity, p.Sold-quantity })
	default:
		return before
	}
	after := *before
	after.Status = "RELEASED"
	return &after
}

// takeBack puts sold lines back into the stock, once per return and never more than is sold.
func takeBack(before *reservation, returnID string, lines []line, products map[string]*product) *reservation {
	if before == nil || slices.Contains(before.Returned, returnID) {
		return before
	}
	for _, one := range onePerProduct(lines) {
		if p := products[one.ProductID]; p != nil {
			back := min(one.Quantity, p.Sold)
			p.OnHand, p.Sold = p.OnHand+back, p.Sold-back
			p.change()
		}
	}
	after := *before
	after.Returned = append(slices.Clone(before.Returned), returnID)
	return &after
}

// onePerProduct merges the lines of a product.
func onePerProduct(lines []line) []line {
	var merged []line
	position := map[string]int{}
	for _, one := range lines {
		if known, isKnown := position[one.ProductID]; isKnown {
			merged[known].Quantity += one.Quantity
			continue
		}
		position[one.ProductID] = len(merged)
		merged = append(merged, one)
	}
	return merged
}

func reserve(orderID string, lines []line, at string, products map[string]*product) *reservation {
	wanted := onePerProduct(lines)
	var short []string
	for _, one := range wanted {
		left := int64(0)
		if p := products[one.ProductID]; p != nil {
			left = p.available()
		}
		if left < one.Quantity {
			short = append(short, fmt.Sprintf("%s (%d wanted, %d available)", one.ProductID, one.Quantity, left))
		}
	}
	if len(short) > 0 {
		reason := "out of stock: " + strings.Join(short, ", ")
		return &reservation{OrderID: orderID, Status: "REJECTED", Lines: []line{}, Time: at, Reason: reason}
	}
	for _, one := range wanted {
		products[one.ProductID].Reserved += one.Quantity
		products[one.ProductID].change()
	}
	return &reservation{OrderID: orderID, Status: "RESERVED", Lines: wanted, Time: at}
}

// A store keeps the stock in the sidecar's state.
type store struct {
	sidecar *sidecar
	// Changes of one process wait for each other, instead of losing races against each other.
	changing sync.Mutex
}

func load[Document any](ctx context.Context, s *sidecar, key string) (*Document, *stored, error) {
	found, err := s.load(ctx, key)
	if err != nil || found == nil {
		return nil, nil, err
	}
	var document Document
	return &document, found, json.Unmarshal(found.value, &document)
}

func (s *store) product(ctx context.Context, id string) (*product, *stored, error) {
	return load[product](ctx, s.sidecar, "product:"+id)
}

func (s *store) products(ctx context.Context, ids []string) (map[string]*product, map[string]*stored, error) {
	keys := make([]string, len(ids))
	for position, id := range ids {
		keys[position] = "product:" + id
	}
	found, err := s.sidecar.loadMany(ctx, keys)
	products := map[string]*product{}
	for _, one := range found {
		var p product
		if err := json.Unmarshal(one.value, &p); err != nil {
			return nil, nil, err
		}
		products[p.ProductID] = &p
	}
	return products, found, err
}

type decision func(before *reservation, products map[string]*product) *reservation

// changeOrder saves what decide makes of a reservation and the products of its lines, and of these lines. It returns the
// reservation before and after; nil if there is none.
func (s *store) changeOrder(ctx context.Context, orderID string, lines []line, decide decision) (before, after *reservation, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	key := "reservation:" + orderID
	err = retryOnConflict(func() error {
		var known *stored
		var err error
		if before, known, err = load[reservation](ctx, s.sidecar, key); err != nil {
			return err
		}
		needed := lines
		if before != nil {
			needed = slices.Concat(lines, before.Lines)
		}
		var ids []string
		for _, one := range onePerProduct(needed) {
			ids = append(ids, one.ProductID)
		}
		products, found, err := s.products(ctx, ids)
		if err != nil {
			return err
		}
		after = decide(before, products)
		if after == before {
			return nil
		}
		writes := []write{{key: key, value: after, before: known}}
		for _, id := range ids {
			if p := products[id]; p != nil && p.isChanged {
				writes = append(writes, write{key: "product:" + id, value: p, before: found["product:"+id]})
			}
		}
		return s.sidecar.save(ctx, writes...)
	})
	return before, after, err
}

const pageSize = 100

func pageKey(page int) string { return fmt.Sprintf("index:products:%d", page) }

type head struct {
	Count int `json:"count"`
}

// append returns the writes that append a product to the list.
func (s *store) append(ctx context.Context, id string) ([]write, error) {
	list, knownHead, err := load[head](ctx, s.sidecar, "index:products")
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = &head{}
	}
	page := list.Count / pageSize
	ids, knownPage, err := load[[]string](ctx, s.sidecar, pageKey(page))
	if err != nil {
		return nil, err
	}
	if ids == nil {
		ids = &[]string{}
	}
	return []write{
		{key: "index:products", value: head{list.Count + 1}, before: knownHead},
		{key: pageKey(page), value: append(*ids, id), before: knownPage},
	}, nil
}

// list returns up to limit products before the position, newest first, and the position of the next page; 0 for none.
func (s *store) list(ctx context.Context, before, limit int) ([]*product, int, error) {
	list, _, err := load[head](ctx, s.sidecar, "index:products")
	if err != nil || list == nil {
		return nil, 0, err
	}
	end := min(before, list.Count)
	start := max(0, end-limit)
	var ids []string
	for page := start / pageSize; page*pageSize < end; page++ {
		listed, _, err := load[[]string](ctx, s.sidecar, pageKey(page))
		if err != nil {
			return nil, 0, err
		}
		for position, id := range *listed {
			if at := page*pageSize + position; at >= start && at < end {
				ids = append([]string{id}, ids...)
			}
		}
	}
	products, _, err := s.products(ctx, ids)
	return inOrder(ids, products), start, err
}

func inOrder(ids []string, products map[string]*product) []*product {
	found := []*product{}
	for _, id := range ids {
		if products[id] != nil {
			found = append(found, products[id])
		}
	}
	return found
}

// change saves what edit makes of a product, with more writes. If edit returns nil, nothing changes.
func (s *store) change(ctx context.Context, id string, edit func(before *product) (*product, []write, error)) (before, after *product, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	err = retryOnConflict(func() error {
		var known *stored
		var err error
		if before, known, err = s.product(ctx, id); err != nil {
			return err
		}
		var more []write
		if after, more, err = edit(before); err != nil || after == nil {
			return err
		}
		if known == nil {
			listed, err := s.append(ctx, id)
			if err != nil {
				return err
			}
			more = append(more, listed...)
		}
		return s.sidecar.save(ctx, append(more, write{key: "product:" + id, value: after, before: known})...)
	})
	return before, after, err
}
