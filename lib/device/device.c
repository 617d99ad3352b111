/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The seam: the contract of device.h, checked once for every device, and nothing else. */
#include "device/device.h"

#include <errno.h>

static void check_range(const struct device *dev, uint64_t offset_bytes, uint64_t len_bytes)
{
	cwt_assert(dev->ops);
	cwt_assert(device_range_ok(dev, offset_bytes, len_bytes));
}

int device_read(struct device *dev, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	check_range(dev, offset_bytes, len_bytes);
	return len_bytes ? dev->ops->rw(dev, DEVICE_READ, offset_bytes, buf, len_bytes) : 0;
}

int device_write(struct device *dev, uint64_t offset_bytes, const void *buf, size_t len_bytes)
{
	check_range(dev, offset_bytes, len_bytes);
	if (dev->info.read_only)
		return -EROFS;
	return len_bytes ? dev->ops->rw(dev, DEVICE_WRITE, offset_bytes, (void *)(uintptr_t)buf, len_bytes) : 0;
}

int device_flush(struct device *dev)
{
	cwt_assert(dev->ops);
	return dev->ops->flush(dev);
}

int device_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	check_range(dev, offset_bytes, len_bytes);
	if (dev->info.read_only)
		return -EROFS;
	return len_bytes ? dev->ops->zero(dev, op, offset_bytes, len_bytes) : 0;
}

int device_tag(struct device *dev, const void *set, void *get)
{
	cwt_assert(dev->ops);
	cwt_assert(!set || !dev->info.read_only);
	return dev->ops->tag ? dev->ops->tag(dev, set, get) : -EOPNOTSUPP;
}

int device_identity(struct device *dev, struct device_identity *id)
{
	cwt_assert(dev->ops);
	*id = (struct device_identity){ 0 };
	return dev->ops->identity(dev, id);
}

int device_next_data(struct device *dev, uint64_t from, uint64_t *begin, uint64_t *end)
{
	cwt_assert(from <= dev->info.size_bytes);
	*begin = from;
	*end = dev->info.size_bytes;
	return dev->ops->next_data ? dev->ops->next_data(dev, from, begin, end) : 0;
}

int device_write_back(struct device *dev, bool begin)
{
	cwt_assert(dev->ops);
	return dev->ops->write_back ? dev->ops->write_back(dev, begin) : 0;
}

int device_ids(struct device *dev, struct device_ids *ids)
{
	cwt_assert(dev->ops);
	*ids = (struct device_ids){ 0 };
	return dev->ops->ids ? dev->ops->ids(dev, ids) : 0;
}

void device_close(struct device *dev)
{
	if (dev)
		dev->ops->close(dev);
}
