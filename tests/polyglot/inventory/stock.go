package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultThreshold = 5
	pageSize         = 100
)

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func (p *StoredProduct) available() int { return p.OnHand - p.Reserved }

func (p *StoredProduct) tag() string { return strconv.Quote(strconv.Itoa(p.Revision)) }

// public is the product in the API.
func (p *StoredProduct) public() Product {
	return Product{
		ProductId: p.ProductId, Name: p.Name, UnitPrice: p.UnitPrice, Currency: p.Currency,
		OnHand: p.OnHand, Reserved: p.Reserved, Available: p.available(),
	}
}

// move changes the figures of a product that exists.
func (p *StoredProduct) move(onHand, reserved, sold int) {
	if p.Revision > 0 {
		p.OnHand, p.Reserved, p.Sold, p.Revision = p.OnHand+onHand, p.Reserved+reserved, p.Sold+sold, p.Revision+1
	}
}

// onePerProduct merges the lines of each product.
func onePerProduct(lines []Line) (merged []Line) {
	for _, line := range lines {
		at := slices.IndexFunc(merged, func(one Line) bool { return one.ProductId == line.ProductId })
		if at < 0 {
			merged = append(merged, line)
		} else {
			merged[at].Quantity += line.Quantity
		}
	}
	return merged
}

// apply changes a reservation and its products by the trigger of an event. A redelivered event changes nothing.
func (r *StoredReservation) apply(event *OrderEvent, products map[string]*StoredProduct) {
	order := event.Data.Order
	move := func(onHand, reserved, sold int) {
		for _, line := range r.Lines {
			products[line.ProductId].move(onHand*line.Quantity, reserved*line.Quantity, sold*line.Quantity)
		}
	}
	switch isNew := r.Status == ""; {
	case isNew && event.Type == "order.created":
		*r = StoredReservation{OrderId: order.OrderId, Status: "RESERVED", Lines: onePerProduct(order.Items), Time: now()}
		if short := r.shortage(products); short != nil {
			r.Status, r.Lines, r.Reason = "REJECTED", []Line{}, "out of stock: "+strings.Join(short, ", ")
		}
		move(0, 1, 0)
	case r.Status == "RESERVED" && event.Type == "order.paid":
		move(-1, -1, 1)
		r.Status, r.Sale = "SOLD", &StoredReservation_Sale{Time: now(), Low: []StoredReservation_Sale_Low{}}
		for _, line := range r.Lines {
			if p := products[line.ProductId]; p.OnHand <= p.LowStockThreshold && p.OnHand+line.Quantity > p.LowStockThreshold {
				r.Sale.Low = append(r.Sale.Low, StoredReservation_Sale_Low{ProductId: p.ProductId, Available: p.available()})
			}
		}
	case event.Type == "order.created", event.Type == "order.paid":
	case isNew:
		reason := "the order ended before its stock was reserved"
		*r = StoredReservation{OrderId: order.OrderId, Status: "RELEASED", Lines: []Line{}, Time: now(), Reason: reason}
	case r.Status == "RESERVED":
		move(0, -1, 0)
		r.Status = "RELEASED"
	case r.Status == "SOLD":
		move(1, 0, -1)
		r.Status = "RELEASED"
	}
}

// shortage describes each line that is not available.
func (r *StoredReservation) shortage(products map[string]*StoredProduct) (short []string) {
	for _, line := range r.Lines {
		if left := products[line.ProductId].available(); left < line.Quantity {
			short = append(short, fmt.Sprintf("%s (%d wanted, %d available)", line.ProductId, line.Quantity, left))
		}
	}
	return short
}

func loadProducts(t *transaction, lines []Line) map[string]*StoredProduct {
	var ids []string
	for _, line := range onePerProduct(lines) {
		ids = append(ids, line.ProductId)
	}
	return loadAll[StoredProduct](t, "product:", ids)
}

// add saves a product that does not exist, as the last one of the list.
func (t *transaction) add(product *StoredProduct, added StoredProduct) {
	head := load[StoredIndexProducts](t, "index:products")
	page := load[[]string](t, pageKey(head.Count/pageSize))
	*product, *page, head.Count = added, append(*page, added.ProductId), head.Count+1
}

func pageKey(page int) string { return fmt.Sprintf("index:products:%d", page) }

// list returns the ids of up to limit products before a position of the list, newest first, and the position of the last one.
func (t *transaction) list(before, limit int) (ids []string, start int) {
	end := max(0, min(before, load[StoredIndexProducts](t, "index:products").Count))
	start = max(0, end-limit)
	first := start / pageSize * pageSize
	for page := start / pageSize; page*pageSize < end; page++ {
		ids = append(ids, *load[[]string](t, pageKey(page))...)
	}
	ids = ids[min(start-first, len(ids)):min(end-first, len(ids))]
	slices.Reverse(ids)
	return ids, start
}

// public loads products in the order of their ids, as they are in the API. It omits those that do not exist.
func (t *transaction) public(ids []string) []Product {
	items, products := []Product{}, loadAll[StoredProduct](t, "product:", ids)
	for _, id := range ids {
		if products[id].Revision > 0 {
			items = append(items, products[id].public())
		}
	}
	return items
}
